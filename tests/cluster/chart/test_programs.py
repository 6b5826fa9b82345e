"""What the chart starts, and with which rights: command lines that `bulkhead` takes, and no privilege without a reason.

Next step: `bulkhead.cli` for the options, docs/threat-model.md for what the rights mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bulkhead.cli import events_collector, program_parser
from bulkhead.kube import reviews
from tests.cluster.chart.objects import CHART, NAMESPACE, Object, Objects, Render

AGENT, COLLECTOR, UNINSTALL = ("DaemonSet", "agent"), ("Deployment", "collector"), ("Job", "uninstall")
CONTROLLER = ("Deployment", "controller")
TLS = Path("/etc/bulkhead/tls")
TOKENS = {"collector": {"tokens": {"enabled": True}}}


def pod(objects: Objects, kind: str, component: str) -> Object:
    """The spec of a workload's pods."""
    spec: Object = objects[kind, f"bulkhead-{component}"]["spec"]["template"]["spec"]
    return spec


def options(objects: Objects, kind: str, component: str) -> dict[str, Any]:
    """What `bulkhead` understands of the container's arguments."""
    arguments = pod(objects, kind, component)["containers"][0]["args"]
    return vars(program_parser(arguments[0]).parse_args(arguments))


def test_the_agent_understands_its_arguments(render: Render) -> None:
    """And finds there what the values say."""
    objects = render({"agent": {"state": "/srv/bulkhead", "pins": "/sys/fs/bpf/other"}})
    assert (
        options(objects, *AGENT).items()
        >= {
            "node": "$(NODE_NAME)",
            "collector": f"bulkhead-collector.{NAMESPACE}.svc:7443",
            "state": Path("/srv/bulkhead"),
            "pins": Path("/sys/fs/bpf/other"),
            "monitoring": "0.0.0.0:7444",
            "certificates": f"{NAMESPACE}/bulkhead",
            "tls_ca": None,
            "tls_cert": None,
            "tls_key": None,
            "remove": False,
            "nri": Path("/var/run/nri/nri.sock"),
            "start_failure_policy": "Fail",
        }.items()
    )


def test_the_agent_does_without_the_runtime(render: Render) -> None:
    """Neither the option nor the folder is there."""
    objects = render({"agent": {"nri": {"enabled": False}}})
    assert options(objects, *AGENT)["nri"] is None
    assert "nri" not in [volume["name"] for volume in pod(objects, *AGENT)["volumes"]]


def test_the_collector_understands_its_arguments(render: Render) -> None:
    """And finds there what the values say."""
    objects = render({"collector": {"retain": "2w", "retainBytes": "3G"}})
    assert (
        options(objects, *COLLECTOR).items()
        >= {
            "listen": "0.0.0.0:7443",
            "store": Path("/var/lib/bulkhead-collector"),
            "retain": 14 * 86_400,
            "retain_bytes": 3 << 30,
            "monitoring": "0.0.0.0:7444",
            "tls_client_ca": TLS / "ca.crt",
            "tls_cert": TLS / "tls.crt",
            "tls_key": TLS / "tls.key",
            "agents": ["bulkhead-agent"],
            "readers": ["bulkhead-client"],
            "named_nodes": True,
        }.items()
    )


def test_the_collector_takes_no_tokens_unless_told_to(render: Render) -> None:
    """Then it listens for them where pods and Service say; for whom they are, and which, is as the values say."""
    assert options(render(), *COLLECTOR)["token_listen"] == ""
    for given, audience, api_server_tokens in (
        ({}, "bulkhead-collector", True),
        ({"audience": "violations.example", "apiServerTokens": False}, "violations.example", False),
    ):
        objects = render({"collector": {"tokens": {"enabled": True, **given}}})
        understood = options(objects, *COLLECTOR)
        assert understood["token_listen"] == f"0.0.0.0:{events_collector.TOKEN_PORT}"
        assert (understood["token_audience"], understood["api_server_tokens"]) == (audience, api_server_tokens)
        (container,) = pod(objects, *COLLECTOR)["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        service = {
            port["port"]: port["targetPort"] for port in objects["Service", "bulkhead-collector"]["spec"]["ports"]
        }
        assert ports[service[events_collector.TOKEN_PORT]] == events_collector.TOKEN_PORT


def test_for_tokens_the_collector_may_ask_two_questions(render: Render) -> None:
    """And nothing else in the API."""
    objects = render(TOKENS)
    rules = objects["ClusterRole", "bulkhead-collector"]["rules"]
    assert [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in rules] == [
        (["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        (["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ]
    (subject,) = objects["ClusterRoleBinding", "bulkhead-collector"]["subjects"]
    assert (subject["name"], subject["namespace"]) == (pod(objects, *COLLECTOR)["serviceAccountName"], NAMESPACE)
    assert ("RoleBinding", "bulkhead-collector") not in objects


def test_who_may_view_a_namespace_may_view_its_violations(render: Render) -> None:
    """Unless told otherwise: then it takes a binding of the role itself. It is the very right that is asked about."""
    label = "rbac.authorization.k8s.io/aggregate-to-view"
    for given, expected in ((True, "true"), (False, None)):
        objects = render({"collector": {"tokens": {"enabled": True, "aggregateToView": given}}})
        role = objects["ClusterRole", "bulkhead-violations-viewer"]
        assert role["metadata"]["labels"].get(label) == expected
        assert role["rules"] == [
            {"apiGroups": [reviews.GROUP], "resources": [reviews.RESOURCE], "verbs": ["list", "watch"]}
        ]


def test_readers_with_tokens_are_told_whom_to_trust(render: Render) -> None:
    """In a ConfigMap that the controller fills, unless certificates are somebody's own."""
    assert ("ConfigMap", events_collector.AUTHORITY) in render(TOKENS)
    own = {"existingSecrets": {"collector": "a", "agent": "b"}}
    assert ("ConfigMap", events_collector.AUTHORITY) not in render({**TOKENS, "tls": own})


def test_a_network_policy_lets_readers_with_tokens_in(render: Render) -> None:
    """Those that are named and not the agents; and the collector out, to the API server. Without tokens neither."""
    peers = [{"namespaceSelector": {"matchLabels": {"name": "tenant"}}}]
    for given, tokens, expected in (
        ({"from": peers}, True, [peers]), ({}, True, []), ({"from": peers}, False, []),
    ):  # fmt: skip
        values = {"networkPolicy": {"enabled": True, **given}, "collector": {"tokens": {"enabled": tokens}}}
        policy = render(values)["NetworkPolicy", "bulkhead-collector"]["spec"]
        ingress = [rule["from"] for rule in policy["ingress"] if rule["ports"][0]["port"] == "grpc-tokens"]
        assert ingress == expected
        assert all(rule["from"] for rule in policy["ingress"])
        assert policy["policyTypes"] == (["Ingress"] if tokens else ["Ingress", "Egress"])


def test_the_controller_understands_its_arguments(render: Render) -> None:
    """It finds this release's agents and no others, and its own lease, which it may change."""
    objects = render(release="my-bulkhead")
    arguments = objects["Deployment", "my-bulkhead-controller"]["spec"]["template"]["spec"]["containers"][0]["args"]
    understood = vars(program_parser("controller").parse_args(arguments))
    selector = dict(pair.split("=") for pair in understood["agents"].split(","))
    agents = objects["DaemonSet", "my-bulkhead-agent"]["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= agents.items()
    assert selector["app.kubernetes.io/instance"] == "my-bulkhead"
    assert (understood["namespace"], understood["lease"]) == (NAMESPACE, "my-bulkhead-controller")
    rules = objects["Role", "my-bulkhead-controller"]["rules"]
    leases = [rule for rule in rules if rule["resources"] == ["leases"] and "update" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in leases] == [["my-bulkhead-controller"]]


def test_a_controller_alone_has_no_disruption_budget(render: Render) -> None:
    """One that allows no disruption would keep its node from ever being drained."""
    assert ("PodDisruptionBudget", "bulkhead-controller") not in render({"controller": {"replicas": 1}})


def test_agents_write_nodestates_only(render: Render) -> None:
    """And ask for certificates. What is said of policies comes from the controller, which writes nothing else."""
    objects = render()

    def written(component: str) -> set[str]:
        rules = objects["ClusterRole", f"bulkhead-{component}"]["rules"]
        changes = {"create", "update", "patch"}
        return {resource for rule in rules if changes & set(rule["verbs"]) for resource in rule["resources"]}

    requests = "certificatesigningrequests"
    assert written("agent") == {"nodestates", "nodestates/status", requests}
    answers = {f"{requests}/approval", f"{requests}/status"}
    assert written("controller") == {"securitypolicies/status", "clustersecuritypolicies/status", "events"} | answers


def test_agents_read_what_policies_select_by(render: Render) -> None:
    """Pods, namespaces and nodes, as lists and watches only; no single object but its request for a certificate."""
    rules = render()["ClusterRole", "bulkhead-agent"]["rules"]
    core = [(set(rule["resources"]), set(rule["verbs"])) for rule in rules if rule["apiGroups"] == [""]]
    assert core == [({"pods", "namespaces", "nodes"}, {"list", "watch"})]
    assert {group for rule in rules for group in rule["apiGroups"]} == {"", "bulkhead.dev", "certificates.k8s.io"}


def test_events_finds_what_the_chart_makes(render: Render) -> None:
    """By its own constants: the subscribers' Secret, and the collector's pods and no others."""
    objects = render()
    assert ("Secret", events_collector.SECRET) in objects
    assert events_collector.NAMESPACE == NAMESPACE
    wanted = dict(pair.split("=") for pair in events_collector.SELECTOR.split(","))
    labels = {
        which: objects[which[0], f"bulkhead-{which[1]}"]["spec"]["template"]["metadata"]["labels"]
        for which in (AGENT, COLLECTOR, CONTROLLER, UNINSTALL)
    }
    assert [which for which, found in labels.items() if wanted.items() <= found.items()] == [COLLECTOR]
    ports = {port["name"]: port["containerPort"] for port in pod(objects, *COLLECTOR)["containers"][0]["ports"]}
    assert ports["grpc"] == events_collector.PORT


@pytest.mark.parametrize(("kind", "component"), [AGENT, COLLECTOR, CONTROLLER])
def test_probes_ask_where_health_is_told(kind: str, component: str, render: Render) -> None:
    """Ready by /readyz, alive by /healthz, at the port of --monitoring; minutes to begin in, on a slow node too."""
    objects = render()
    (container,) = pod(objects, kind, component)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert options(objects, kind, component)["monitoring"] == f"0.0.0.0:{ports['monitoring']}"
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "monitoring"}
    begins = container["startupProbe"]
    assert begins["httpGet"] == container["livenessProbe"]["httpGet"]
    assert begins["periodSeconds"] * begins["failureThreshold"] >= 300


def test_monitors_find_pods_and_port(render: Render) -> None:
    """Agents by their pods, the collector by its Service; a Prometheus finds the monitors by labels of its own."""
    labels = {"release": "prometheus"}
    objects = render({"monitoring": {"monitors": {"enabled": True, "interval": "1m", "labels": labels}}})
    agents, collector = objects["PodMonitor", "bulkhead-agent"], objects["ServiceMonitor", "bulkhead-collector"]
    pods = objects["DaemonSet", "bulkhead-agent"]["spec"]["template"]["metadata"]["labels"]
    service = objects["Service", "bulkhead-collector"]
    assert agents["spec"]["selector"]["matchLabels"].items() <= pods.items()
    assert collector["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert "monitoring" in {port["name"] for port in service["spec"]["ports"]}
    for endpoint in (*agents["spec"]["podMetricsEndpoints"], *collector["spec"]["endpoints"]):
        assert endpoint.items() >= {"port": "monitoring", "path": "/metrics", "interval": "1m"}.items()
    assert all(each["metadata"]["labels"].items() >= labels.items() for each in (agents, collector))


def test_rules_and_dashboard_are_handed_on_whole(render: Render) -> None:
    """As they are in the chart's files: Helm's own braces and Prometheus' are not confused."""
    objects = render({"monitoring": {"rules": {"enabled": True}, "dashboard": {"enabled": True}}})
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    assert objects["PrometheusRule", "bulkhead-monitoring"]["spec"] == rules
    dashboard = objects["ConfigMap", "bulkhead-monitoring"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["bulkhead.json"]) == json.loads((CHART / "files/dashboard.json").read_text())


def test_who_may_ask_for_metrics_is_said(render: Render) -> None:
    """Nobody, where network policies are on and nobody is named; an empty list of peers would be everybody."""
    peers = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    for given, expected in (({}, []), ({"monitoringFrom": peers}, [peers])):
        objects = render({"networkPolicy": {"enabled": True, **given}})
        for component in ("agent", "collector", "controller"):
            ingress = objects["NetworkPolicy", f"bulkhead-{component}"]["spec"]["ingress"]
            assert [rule["from"] for rule in ingress if rule["ports"][0]["port"] == "monitoring"] == expected
            assert all(rule["from"] for rule in ingress)


def test_the_hook_understands_its_arguments(render: Render) -> None:
    """It names this release's agents, and may change no others."""
    objects = render({"uninstall": {"timeoutSeconds": 90}})
    assert (
        options(objects, *UNINSTALL).items()
        >= {
            "namespace": NAMESPACE,
            "daemonset": "bulkhead-agent",
            "timeout": 90.0,
        }.items()
    )
    rules = objects["Role", "bulkhead-uninstall"]["rules"]
    assert [rule["resourceNames"] for rule in rules if "patch" in rule["verbs"]] == [["bulkhead-agent"]]
    assert objects["Job", "bulkhead-uninstall"]["spec"]["activeDeadlineSeconds"] > 90


def test_the_hook_comes_before_anything_is_deleted(render: Render) -> None:
    """First who it is, what it may, and last the Job; each removed before the next uninstall and after a good one."""
    annotations = {
        kind: found["metadata"]["annotations"]
        for (kind, name), found in render().items()
        if name == "bulkhead-uninstall"
    }
    assert {each["helm.sh/hook"] for each in annotations.values()} == {"pre-delete"}
    assert {each["helm.sh/hook-delete-policy"] for each in annotations.values()} == {
        "before-hook-creation,hook-succeeded"
    }
    order = sorted(annotations, key=lambda kind: int(annotations[kind]["helm.sh/hook-weight"]))
    assert order == ["ServiceAccount", "Role", "RoleBinding", "Job"]


def test_uninstall_finds_the_arguments_to_extend(render: Render) -> None:
    """`bulkhead uninstall` adds --remove to those of the first container; there are no others to be taken for it."""
    (container,) = pod(render(), *AGENT)["containers"]
    assert "initContainers" not in pod(render(), *AGENT)
    arguments = [*container["args"], "--remove"]
    assert program_parser("agent").parse_args(arguments).remove is True


def test_the_agent_has_no_right_without_a_reason(render: Render) -> None:
    """Not privileged; five capabilities; the host's processes, and of its files only what it works on."""
    spec = pod(render(), *AGENT)
    security = spec["containers"][0]["securityContext"]
    assert security["capabilities"] == {
        "drop": ["ALL"],
        "add": ["BPF", "PERFMON", "NET_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH"],
    }
    assert (
        security.items()
        >= {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }.items()
    )
    assert {key: spec.get(key) for key in ("hostPID", "hostNetwork", "hostIPC")} == {
        "hostPID": True,
        "hostNetwork": False,
        "hostIPC": None,
    }
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}
    writable = {
        paths[mount["name"]]
        for mount in spec["containers"][0]["volumeMounts"]
        if mount["name"] in paths and not mount.get("readOnly")
    }
    assert set(paths.values()) == {
        *("/sys/fs/bpf", "/sys/fs/cgroup", "/sys/kernel/security", "/var/lib/bulkhead", "/var/run/nri"),
    }
    assert writable == {"/sys/fs/bpf", "/var/lib/bulkhead"}


@pytest.mark.parametrize(("kind", "component"), [COLLECTOR, CONTROLLER, UNINSTALL])
def test_others_meet_the_restricted_standard(kind: str, component: str, render: Render) -> None:
    """Neither root nor any capability nor anything of the host: Kubernetes's strictest standard."""
    spec = pod(render(), kind, component)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostPID", "hostNetwork", "hostIPC"} & spec.keys()
    assert not [volume for volume in spec.get("volumes", []) if "hostPath" in volume]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_only_who_asks_the_api_server_has_a_token(render: Render) -> None:
    """The collector, which anybody with a certificate may speak to, has none unless readers show theirs."""
    for values, collector in (({}, False), (TOKENS, True)):
        objects = render(values)
        tokens = {
            component: pod(objects, kind, component)["automountServiceAccountToken"]
            for kind, component in (AGENT, COLLECTOR, CONTROLLER, UNINSTALL)
        }
        assert tokens == {"agent": True, "collector": collector, "controller": True, "uninstall": True}


def test_apparmor_is_said_as_the_version_understands_it(render: Render) -> None:
    """A field from 1.30 on, before that an annotation; without it the runtime's profile forbids to pin programs."""
    for kubernetes, is_field in (("1.29.9", False), ("1.30.0-vendor.1", True)):
        template = render(kubernetes=kubernetes)["DaemonSet", "bulkhead-agent"]["spec"]["template"]
        field = template["spec"]["containers"][0]["securityContext"].get("appArmorProfile")
        annotation = template["metadata"]["annotations"].get("container.apparmor.security.beta.kubernetes.io/agent")
        assert (field, annotation) == (({"type": "Unconfined"}, None) if is_field else (None, "unconfined"))


def test_an_image_is_named_by_tag_and_digest(render: Render) -> None:
    """The chart's own version unless another is asked for; a digest pins it."""
    digest = "sha256:" + "a" * 64
    for image, reference in (
        ({}, "bulkhead/agent:0.1.0"),
        ({"repository": "registry.example:5000/b/agent", "tag": "x"}, "registry.example:5000/b/agent:x"),
        ({"digest": digest}, f"bulkhead/agent:0.1.0@{digest}"),
    ):
        objects = render({"agent": {"image": image}})
        assert {pod(objects, *which)["containers"][0]["image"] for which in (AGENT, UNINSTALL)} == {reference}


def test_the_claim_outlives_the_release_unless_told_otherwise(render: Render) -> None:
    """Violations are not deleted in silence."""
    for keep, expected in ((True, {"helm.sh/resource-policy": "keep", "a": "b"}), (False, {"a": "b"})):
        objects = render({"collector": {"persistence": {"keep": keep, "annotations": {"a": "b"}}}})
        assert objects["PersistentVolumeClaim", "bulkhead-collector"]["metadata"]["annotations"] == expected
