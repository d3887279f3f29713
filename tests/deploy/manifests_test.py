#!/usr/bin/env python3
"""Renders deploy/kubernetes and what `whencectl inject` makes, and holds them against Kubernetes' schemas and our own rules.

usage: manifests_test.py BUILD_DIR VERSION WHENCE_AGENT WHENCE_CONTROL WHENCECTL

The schemas come with the package kubernetes-validate, which rejects unknown fields. Exit code 77: something cannot be had here.
"""
import importlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, VERSION, AGENT, CONTROL, CTL = sys.argv[1:6]
PACKAGES = os.path.join(BUILD, "packages")
DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
MANIFESTS = pathlib.Path(__file__).resolve().parent / "manifests"
# Native sidecars are on by default since 1.29; the other is the newest that the package knows.
RELEASES = ["1.29", "1.37"]
OVERLAYS = ["minimal", "production", "istio-coexistence"]


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def need_package():
    os.makedirs(PACKAGES, exist_ok=True)
    sys.path.insert(0, PACKAGES)
    try:
        import kubernetes_validate  # noqa: F401
        return
    except ImportError:
        pass
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                           "--root-user-action=ignore", "--target", PACKAGES, "kubernetes-validate==1.37.*"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if done.returncode != 0:
        skip("cannot install kubernetes-validate\n" + done.stdout)
    importlib.invalidate_caches()


def renderer():
    """The command that renders a folder."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("go"):
        done = subprocess.run(["go", "install", "sigs.k8s.io/kustomize/kustomize/v5@v5.5.0"], env={**os.environ, "GOBIN": BUILD},
                              capture_output=True, text=True, timeout=200)
        if done.returncode == 0:
            return [os.path.join(BUILD, "kustomize"), "build"]
    skip("there is no kubectl, no kustomize, and no Go to build it with")


need_package()
RENDER = renderer()
import kubernetes_validate  # noqa: E402
import yaml  # noqa: E402


def render(folder):
    done = subprocess.run(RENDER + [str(DEPLOY / "kubernetes" / folder)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{folder}: {done.stderr}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def faults_by_schema(documents):
    for document in documents:
        for release in RELEASES:
            try:
                kubernetes_validate.validate(document, release, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{release} {document['kind']} {document['metadata'].get('name')}: {error.message}"


def pods(documents):
    """(name, pod template) of every workload."""
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if document["kind"] == "Pod":
            yield "Pod " + document["metadata"]["name"], document
        elif "template" in spec:
            yield f"{document['kind']} {document['metadata']['name']}", spec["template"]


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def variables_of(program, *command):
    text = subprocess.run([program, *command, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    return set(re.findall(r"\bWHENCE_[A-Z_]+\b", text))


def weaknesses(name, container, pod):
    """What a container of ours may do beyond its task."""
    def context(key):
        return container.get("securityContext", {}).get(key, pod["spec"].get("securityContext", {}).get(key))
    capabilities = context("capabilities") or {}
    added = set(capabilities.get("add", []))
    allowed = {"NET_ADMIN"} if container["name"] in ("whence-init", "remove") else {"NET_RAW"}
    if not context("readOnlyRootFilesystem"):
        yield "its root can be written"
    if context("allowPrivilegeEscalation") is not False or context("privileged"):
        yield "it may gain privileges"
    if capabilities.get("drop") != ["ALL"] or not added <= allowed:
        yield f"capabilities {capabilities}"
    if added and context("runAsUser") != 0:
        yield "added capabilities, which Kubernetes gives to uid 0 only"
    if not added and not (context("runAsNonRoot") is True and context("runAsUser")):
        yield "root without need"
    if (context("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    if not container.get("resources", {}).get("requests"):
        yield "no resource requests"


def matches(selector, labels):
    return selector.items() <= labels.items()


class Rendered(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.overlays = {name: render("overlays/" + name) for name in OVERLAYS}
        cls.overlays["removal"] = render("node-agent-removal")
        cls.known = {"whence-control": variables_of(CONTROL), "whence-agent": variables_of(AGENT, "run")}

    def every_container(self):
        for overlay, documents in self.overlays.items():
            for name, pod in pods(documents):
                for container in containers(pod):
                    yield f"{overlay}: {name}, {container['name']}", container, pod

    def only(self, overlay, kind, name):
        found = [d for d in self.overlays[overlay] if d["kind"] == kind and d["metadata"]["name"] == name]
        self.assertEqual(len(found), 1, f"{overlay}: {kind} {name}")
        return found[0]

    def test_the_schemas_would_catch_a_fault(self):
        broken = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []}}]
        self.assertEqual(len(list(faults_by_schema(broken))), len(RELEASES))

    def test_kubernetes_accepts_every_overlay(self):
        for overlay, documents in self.overlays.items():
            self.assertEqual(list(faults_by_schema(documents)), [], overlay)

    def test_no_container_may_do_more_than_its_task(self):
        for name, container, pod in self.every_container():
            self.assertEqual(list(weaknesses(name, container, pod)), [], name)

    def test_every_variable_is_a_flag_of_its_program(self):
        for name, container, _ in self.every_container():
            for variable in container.get("env", []):
                self.assertIn(variable["name"], self.known[container["name"]], name)
                self.assertEqual(len({"value", "valueFrom"} & variable.keys()), 1, f"{name} {variable}")

    def test_images_have_this_version(self):
        for name, container, _ in self.every_container():
            self.assertRegex(container["image"], rf"^(registry\.example/)?whence-(control|agent):{re.escape(VERSION)}$", name)
            for variable in container.get("env", []):
                if variable["name"] == "WHENCE_INJECT_IMAGE":
                    self.assertTrue(variable["value"].endswith("whence-agent:" + VERSION), name)

    def test_pods_get_no_token_and_no_variables_of_services(self):
        for overlay, documents in self.overlays.items():
            for name, pod in pods(documents):
                self.assertIs(pod["spec"].get("automountServiceAccountToken"), False, name)
                self.assertIs(pod["spec"].get("enableServiceLinks"), False, name)

    def test_long_running_containers_are_probed(self):
        for name, container, _ in self.every_container():
            if container["name"] in ("whence-control", "whence-agent"):
                self.assertLessEqual({"startupProbe", "readinessProbe", "livenessProbe"}, container.keys(), name)

    def test_a_drained_gateway_has_the_time_that_it_takes(self):
        pod = self.only("production", "Deployment", "whence-gateway")["spec"]["template"]["spec"]
        container = pod["containers"][0]
        drain = next(v["value"] for v in container["env"] if v["name"] == "WHENCE_DRAIN_TIMEOUT")
        wait = container["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual(wait[0], "sleep")
        self.assertGreater(pod["terminationGracePeriodSeconds"], int(wait[1]) + int(drain.removesuffix("s")))

    def test_agents_have_the_labels_by_which_services_select_their_pods(self):
        for name, container, pod in self.every_container():
            for variable in container.get("env", []):
                if variable["name"] == "WHENCE_LABELS":
                    labels = dict(pair.split("=") for pair in variable["value"].split(","))
                    own = {k: v for k, v in pod["metadata"]["labels"].items() if k == "app.kubernetes.io/name"}
                    self.assertLessEqual(own.items(), labels.items(), name)

    def test_selectors_select_and_ports_exist(self):
        for overlay, documents in self.overlays.items():
            templates = [pod for _, pod in pods(documents)]
            for document in documents:
                selector = document.get("spec", {}).get("selector") or document.get("spec", {}).get("podSelector")
                if not selector:
                    continue
                selector = selector.get("matchLabels", selector)
                chosen = [pod for pod in templates if matches(selector, pod["metadata"]["labels"])]
                self.assertEqual(len(chosen), 1, f"{overlay}: {document['kind']} {document['metadata']['name']}")
                if document["kind"] != "Service":
                    continue
                ports = [port for container in chosen[0]["spec"]["containers"] for port in container["ports"]]
                targets = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
                for port in document["spec"]["ports"]:
                    self.assertIn(port["targetPort"], targets, f"{overlay}: Service {document['metadata']['name']}")

    def test_documented_secrets_are_the_mounted_ones(self):
        text = (DEPLOY / "README.md").read_text(encoding="utf-8")
        for name, pod in ((n, p) for documents in self.overlays.values() for n, p in pods(documents)):
            for volume in pod["spec"].get("volumes", []):
                if "secret" in volume:
                    self.assertIn(f"secret generic {volume['secret']['secretName']} ", text, name)

    def test_the_webhook_never_stands_in_its_own_way(self):
        for overlay in ("production", "istio-coexistence"):
            webhook = self.only(overlay, "MutatingWebhookConfiguration", "whence-injector")["webhooks"][0]
            self.assertEqual(webhook["failurePolicy"], "Fail")
            self.assertEqual(webhook["sideEffects"], "None")
            selector = {e["key"]: e for e in webhook["namespaceSelector"]["matchExpressions"] if e["operator"] == "NotIn"}
            self.assertLessEqual({"whence-system", "kube-system"}, set(selector["kubernetes.io/metadata.name"]["values"]))
            self.assertIn({"key": "whence.dev/injection", "operator": "In", "values": ["enabled"]},
                          webhook["namespaceSelector"]["matchExpressions"])
            service = self.only(overlay, "Service", webhook["clientConfig"]["service"]["name"])
            self.assertEqual(service["metadata"]["namespace"], webhook["clientConfig"]["service"]["namespace"])

    def test_istio_and_whence_keep_out_of_each_others_pods(self):
        webhook = self.only("istio-coexistence", "MutatingWebhookConfiguration", "whence-injector")["webhooks"][0]
        keys = {e["key"] for s in ("namespaceSelector", "objectSelector") for e in webhook[s]["matchExpressions"]}
        self.assertLessEqual({"istio-injection", "istio.io/rev", "sidecar.istio.io/inject"}, keys)
        pod = self.only("istio-coexistence", "StatefulSet", "whence-control")["spec"]["template"]
        self.assertEqual(pod["metadata"]["labels"]["sidecar.istio.io/inject"], "false")


class Injected(unittest.TestCase):
    """Every kind that has pods, native and classic, with each way to set the sysctls."""

    def inject(self, *flags):
        done = subprocess.run([CTL, "inject", "-f", str(MANIFESTS), *flags], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def test_kubernetes_accepts_every_kind_injected(self):
        for flags in ([], ["--classic"], ["--sysctls", "init"], ["--mode", "redirect", "--on-exit", "bypass"], ["--certs-secret", ""]):
            documents = []
            for document in self.inject(*flags):
                documents += document["items"] if document["kind"] == "List" else [document]
            kinds = {document["kind"] for document in documents}
            self.assertEqual(kinds, {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job",
                                     "CronJob"})
            self.assertEqual(list(faults_by_schema(documents)), [], flags)
            for name, pod in pods(documents):
                names = [container["name"] for container in containers(pod)]
                self.assertLessEqual({"whence-init", "whence-agent"}, set(names), name)

    def test_agent_and_init_container_may_do_their_task_only(self):
        for name, pod in pods(self.inject()):
            for container in containers(pod):
                if container["name"].startswith("whence-"):
                    self.assertEqual(list(weaknesses(name, container, pod)), [], name)

    def test_every_variable_is_a_flag_of_the_agent(self):
        known = variables_of(AGENT, "run")
        for name, pod in pods(self.inject("--exclude-inbound-ports", "9090")):
            for container in containers(pod):
                for variable in container.get("env", []) if container["name"] == "whence-agent" else []:
                    self.assertIn(variable["name"], known, name)


class Readme(unittest.TestCase):
    """What deploy/README.md shows is accepted."""

    def test_its_documents_have_no_fault(self):
        blocks = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(encoding="utf-8"), re.S)
        self.assertGreater(len(blocks), 2)
        for block in blocks:
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "shown.yaml").write_text(block, encoding="utf-8")
                done = subprocess.run([AGENT, "validate", folder], capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 0, block + done.stderr)

    def test_what_it_names_in_the_repository_is_there(self):
        for path in re.findall(r"\bdeploy/[\w./-]+\w", (DEPLOY / "README.md").read_text(encoding="utf-8")):
            self.assertTrue((DEPLOY.parent / path).exists(), path)


unittest.main(argv=sys.argv[:1], verbosity=1)
