"""What the control plane's programs are told, what is asked of the API server, and what their logs come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.cluster import BenchError, addresses, api, control_plane, dns, programs
from tools.cluster.credentials import Credentials

CREDENTIALS = Credentials(Path("/run/credentials"))
ARGUMENTS = {
    "etcd": control_plane.etcd_arguments(Path("/run/etcd")),
    "api server": control_plane.api_server_arguments(CREDENTIALS),
    "controller manager": control_plane.controller_manager_arguments(CREDENTIALS),
    "scheduler": control_plane.scheduler_arguments(CREDENTIALS),
}


@pytest.mark.parametrize("name", ["api server", "controller manager", "scheduler"])
def test_servers_listen_on_loopback_and_on_ports_that_are_looked_at_first(name: str) -> None:
    """Nothing of the bench is reached from outside, and no port is taken that `obstacles` does not know."""
    arguments = dict(one.split("=", 1) for one in ARGUMENTS[name])
    assert arguments["--bind-address"] == "127.0.0.1"
    assert int(arguments["--secure-port"]) in addresses.PORTS


def test_etcd_listens_on_loopback_only() -> None:
    """Clients and peers."""
    listening = [one for one in ARGUMENTS["etcd"] if one.startswith("--listen")]
    assert len(listening) == 2
    assert all("=http://127.0.0.1:" in one for one in listening)


def test_api_server_refuses_as_a_real_one_does() -> None:
    """RBAC and node authorization decide, and no admission plugin is turned off."""
    text = " ".join(ARGUMENTS["api server"])
    assert "--authorization-mode=Node,RBAC" in text
    assert "NodeRestriction" in text
    assert "disable-admission-plugins" not in text
    assert f"--advertise-address={addresses.API_SERVER_FROM_NODE}" in text


def test_pods_are_given_the_authority_that_signed_the_api_server() -> None:
    """kube-root-ca.crt is ours."""
    assert f"--root-ca-file={CREDENTIALS.authority}" in ARGUMENTS["controller manager"]


def test_dns_leads_to_where_the_server_listens() -> None:
    """Service, endpoint and Corefile name one address and one port."""
    service, behind = dns.objects()[:2]
    assert service["spec"]["clusterIP"] == addresses.DNS_IP
    assert behind["endpoints"][0]["addresses"] == [addresses.API_SERVER_FROM_NODE]
    assert behind["metadata"]["labels"] == {"kubernetes.io/service-name": service["metadata"]["name"]}
    assert {port["name"] for port in service["spec"]["ports"]} == {port["name"] for port in behind["ports"]}
    assert f".:{behind['ports'][0]['port']} {{" in dns.corefile(CREDENTIALS)
    assert "bind 127.0.0.1" in dns.corefile(CREDENTIALS)


@pytest.mark.parametrize(("status", "expected"), [("True", True), ("False", False), ("Unknown", False)])
def test_condition_holds_when_it_is_true(status: str, expected: bool) -> None:
    """Unknown is no yes, and neither is a node that has not said anything."""
    conditions = [{"type": "Other", "status": "True"}, {"type": "Ready", "status": status}]
    assert api.has_condition({"status": {"conditions": conditions}}, "Ready") is expected
    assert not api.has_condition({}, "Ready")


def test_programs_end_with_their_handle_and_leave_their_log(tmp_path: Path) -> None:
    """Both streams are in the log; the end of every log is shown under its name, long lines cut."""
    script = "printf %01000d 7; echo; echo complaint >&2; exec sleep 600"
    program = programs.start_command("thing", ["bash", "-c", script], tmp_path, {})
    try:
        while "complaint\n" not in program.log.read_text():
            assert not program.has_ended()
    finally:
        program.end()
    assert program.has_ended()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/other.log").write_text("".join(f"line {number}\n" for number in range(1000)))
    shown = programs.tails(tmp_path).splitlines()
    assert [line for line in shown if line.startswith("---")] == ["--- other.log", "--- thing.log"]
    assert "line 999" in shown
    assert "line 900" not in shown
    assert "complaint" in shown
    assert max(map(len, shown)) == 300


def test_control_plane_whose_program_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the program."""
    monkeypatch.setattr(control_plane, "Api", lambda _credentials: type("Deaf", (), {"is_ready": lambda _: False})())
    program = programs.start_command("etcd", ["false"], tmp_path, {})
    program.running.wait()
    with pytest.raises(BenchError, match="etcd ended while the control plane was starting"):
        control_plane.wait_until_ready(CREDENTIALS, [program])
