#include "controlplane/access_log/schema.h"

namespace whence::access_log {

using store::ComposedSql;
using store::Sql;

std::span<const Sql> MigrationSteps() {
  static constexpr Sql kSteps[] = {R"sql(
    create table agents(
      id integer primary key,
      agent text not null,
      workload text not null,
      namespace text not null,
      node text not null,
      role text not null,
      unique(agent, node, role));
    create table high_water(
      agent text not null,
      boot text not null,
      last_seq integer not null,
      updated_us integer not null,
      primary key(agent, boot)) without rowid;
    create table segments(
      number integer primary key,
      first_id integer not null,
      rows integer not null default 0,
      bytes integer not null default 0,
      min_time_us integer not null default 9223372036854775807,
      max_time_us integer not null default -1,
      opened_us integer not null,
      newest_us integer not null,
      indexes integer not null default 0,
      sealed integer not null default 0);
  )sql",
                                   // Rows are shorter from here on: a new segment for them.
                                   "update segments set sealed = 1"};
  return kSteps;
}

ComposedSql CreateSegmentSql(uint64_t number) {
  return ComposedSql("create table segment_", number).Append(R"sql((
      id integer primary key,
      time_us integer not null,
      agent_id integer not null,
      protocol not null,
      client blob,
      client_text text,
      client_reason text not null,
      peer blob,
      peer_text text,
      peer_port integer not null,
      forwarded_for text,
      external blob,
      external_text text,
      destination blob,
      destination_text text,
      destination_port integer not null,
      upstream blob,
      upstream_text text,
      method text,
      host text,
      path text,
      status integer not null,
      decision integer not null,
      policy text,
      bytes_in integer not null,
      bytes_out integer not null,
      duration_us integer not null,
      flags text,
      request_id,
      dropped integer not null,
      proxy_tlvs text))sql");
}

ComposedSql InsertSql(uint64_t number) {
  return ComposedSql("insert into segment_", number)
      .Append(
          " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
          "?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)");
}

ComposedSql DropSegmentSql(uint64_t number) { return ComposedSql("drop table segment_", number); }

ComposedSql HasTlvsSql(uint64_t number) {
  return ComposedSql("select count(*) from pragma_table_info('segment_", number)
      .Append("') where name = 'proxy_tlvs'");
}

ComposedSql AddTlvsSql(uint64_t number) {
  return ComposedSql("alter table segment_", number).Append(" add column proxy_tlvs text");
}

ComposedSql IndexByClientSql(uint64_t number) {
  return ComposedSql("create index segment_", number)
      .Append("_client on segment_")
      .Append(number)
      .Append("(client, time_us)");
}

ComposedSql IndexByWorkloadSql(uint64_t number) {
  return ComposedSql("create index segment_", number)
      .Append("_workload on segment_")
      .Append(number)
      .Append("(agent_id, time_us)");
}

namespace {

// "case when … end as name, ": the stored text, or what an IPv4 blob comes to. Its last four bytes
// are the digits 25 to 32 of its hex form.
void AppendAddress(Sql blob, Sql text, Sql name, ComposedSql* sql) {
  sql->Append("case when ").Append(blob).Append(" is null or ").Append(text);
  sql->Append(" is not null then ").Append(text).Append(" else ");
  for (uint64_t digit = 25; digit <= 31; digit += 2) {
    if (digit > 25) sql->Append(" || '.' || ");
    sql->Append("((instr('0123456789ABCDEF', substr(hex(").Append(blob).Append("), ").Append(digit);
    sql->Append(", 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(").Append(blob);
    sql->Append("), ").Append(digit + 1).Append(", 1)) - 1)");
  }
  sql->Append(" end as ").Append(name).Append(", ");
}

}  // namespace

ComposedSql CreateViewSql(const std::vector<uint64_t>& segments) {
  ComposedSql sql(R"sql(
    drop view if exists access_log;
    create view access_log as select
      strftime('%Y-%m-%dT%H:%M:%S', s.time_us / 1000000, 'unixepoch') ||
        printf('.%06dZ', s.time_us % 1000000) as time,
      a.agent as agent,
      a.workload as workload,
      a.namespace as namespace,
      a.node as node,
      a.role as role,
      case s.protocol when 1 then 'http/1.1' when 2 then 'tcp' when 3 then 'http/1.0'
        when 4 then 'http/2' else s.protocol end as protocol,
      )sql");
  AppendAddress("s.client", "s.client_text", "client_address", &sql);
  sql.Append(R"sql(
      s.client_reason as client_reason,
)sql");
  AppendAddress("s.peer", "s.peer_text", "direct_peer", &sql);
  sql.Append(R"sql(      s.peer_port as direct_peer_port,
      s.forwarded_for as forwarded_for,
)sql");
  AppendAddress("s.external", "s.external_text", "external_address", &sql);
  sql.Append(R"sql()sql");
  AppendAddress("s.destination", "s.destination_text", "destination", &sql);
  sql.Append(R"sql(      s.destination_port as destination_port,
)sql");
  AppendAddress("s.upstream", "s.upstream_text", "upstream_source", &sql);
  sql.Append(R"sql(      s.method as method,
      s.host as host,
      s.path as path,
      nullif(s.status, 0) as status,
      case s.decision when 1 then 'allow' when 2 then 'deny' when 3 then 'dry-run-deny' end
        as decision,
      s.policy as policy,
      s.bytes_in as bytes_in,
      s.bytes_out as bytes_out,
      s.duration_us as duration_us,
      case when s.dropped = 0 then s.flags
        else trim(coalesce(s.flags, '') || ',dropped=' || s.dropped, ',') end as flags,
      case typeof(s.request_id) when 'blob' then lower(
        substr(hex(s.request_id), 1, 8) || '-' || substr(hex(s.request_id), 9, 4) || '-' ||
        substr(hex(s.request_id), 13, 4) || '-' || substr(hex(s.request_id), 17, 4) || '-' ||
        substr(hex(s.request_id), 21)) else s.request_id end as request_id,
      s.proxy_tlvs as proxy_tlvs
    from ()sql");
  for (size_t i = 0; i < segments.size(); ++i) {
    if (i > 0) sql.Append(" union all ");
    sql.Append("select * from segment_").Append(segments[i]);
  }
  return sql.Append(") as s join agents as a on a.id = s.agent_id");
}

}  // namespace whence::access_log
