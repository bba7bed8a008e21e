"""kubectl's ways into running containers, and what it shows of them, as on a real cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conversation import on_terminal, piped
from tests.e2e.objects import BUSYBOX, patient, service, toolbox, workload
from tests.e2e.tenancy import Kubectl, eventually, inside, pod, shell, web

pytestmark = pytest.mark.timeout(180)

COUNT = (
    "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo line $i; [ $i -lt 5 ] || sleep 1; done & trap exit TERM; wait"
)


# For the whole pod, so that it holds for containers that are added later, too.
ANYBODY = {"runAsUser": 1000, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}

DROPPED = {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}


@pytest.fixture(scope="module")
def theatre(stage: Kubectl) -> Kubectl:
    """Pods that talk, listen, serve, fail and have ended."""
    crash = (
        'echo "last words of run $(cat /run-number/n 2>/dev/null | wc -l)"; echo x >> /run-number/n; sleep 1; exit 3'
    )
    memory = {"volumeMounts": [{"name": "run-number", "mountPath": "/run-number"}]}
    stage.apply(
        pod("talker", shell(COUNT), labels={"role": "speaker"}, securityContext=ANYBODY),
        pod(
            "choir",
            shell("echo do; echo re >&2; trap exit TERM; sleep infinity & wait", name="high"),
            shell("echo mi; trap exit TERM; sleep infinity & wait", name="low"),
            initContainers=[_hardened(shell("echo tuned", name="tuning"))],
            labels={"role": "speaker"},
        ),
        pod(
            "listener",
            shell('trap exit TERM; while read line; do echo "heard: $line"; done; echo farewell', stdin=True),
        ),
        pod("terminal", shell("exec sh", stdin=True, tty=True)),
        pod("crashing", shell(crash, **memory), volumes=[{"name": "run-number", "emptyDir": {}}]),
        pod("done", shell("echo all said; exit 0"), restartPolicy="Never"),
        pod("tools", toolbox()),
        workload("Deployment", "web", web(), replicas=2),
        service("web", app="web"),
    )
    stage.ready("talker", "choir", "listener", "terminal", "tools")
    stage("rollout", "status", "deployment/web", "--timeout=60s")
    return stage


def _hardened(container: dict[str, object]) -> dict[str, object]:
    return pod("x", container)["spec"]["containers"][0]


# -- logs --------------------------------------------------------------------------------------------------------------


def test_logs_are_what_the_container_said(theatre: Kubectl) -> None:
    assert theatre("logs", "talker").splitlines()[:4] == ["line 1", "line 2", "line 3", "line 4"]


def test_logs_hold_both_outputs(theatre: Kubectl) -> None:
    assert set(theatre("logs", "choir", "-c", "high").split()) == {"do", "re"}


def test_the_last_lines_are_enough(theatre: Kubectl) -> None:
    lines = theatre("logs", "talker", "--tail=2").splitlines()

    assert [re.sub(r"\d+", "N", line) for line in lines] == ["line N", "line N"]
    assert theatre("logs", "talker", "--tail=0") == ""


def test_the_last_seconds_are_enough(theatre: Kubectl) -> None:
    eventually(lambda: len(theatre("logs", "talker").splitlines()) > 12)
    lines = theatre("logs", "talker", "--since=3s").splitlines()

    assert 1 <= len(lines) <= 5
    assert "line 1" not in lines


def test_logs_since_a_time(theatre: Kubectl) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = eventually(lambda: theatre("logs", "talker", f"--since-time={now}").splitlines())

    assert "line 4" not in lines


def test_lines_have_times(theatre: Kubectl) -> None:
    time, _, text = theatre("logs", "talker", "--timestamps", "--limit-bytes=60").splitlines()[0].partition(" ")

    assert datetime.fromisoformat(time).tzinfo
    assert text == "line 1"


def test_logs_are_cut_at_a_number_of_bytes(theatre: Kubectl) -> None:
    assert theatre("logs", "talker", "--limit-bytes=10") == "line 1\nlin"


def test_a_container_is_chosen_by_name_or_by_default(theatre: Kubectl) -> None:
    assert theatre("logs", "choir", "-c", "low") == "mi\n"
    assert theatre("logs", "choir", "-c", "tuning") == "tuned\n"
    assert "do" in theatre("logs", "choir")


def test_logs_of_all_containers_and_pods(theatre: Kubectl) -> None:
    assert set(theatre("logs", "choir", "--all-containers").split()) == {"tuned", "do", "re", "mi"}
    lines = theatre("logs", "--selector=role=speaker", "--all-containers", "--prefix", "--tail=1").splitlines()
    assert "[pod/choir/low] mi" in lines
    assert [line for line in lines if line.startswith("[pod/talker/main] line")]


def test_logs_of_a_controller_are_those_of_its_pods(theatre: Kubectl) -> None:
    assert "Started HTTP server" in theatre("logs", "deployment/web", "--all-pods")


def test_followed_logs_come_as_they_are_said(theatre: Kubectl) -> None:
    with piped(theatre.command("logs", "talker", "--follow", "--tail=1")) as log:
        first = int(re.findall(r"line (\d+)\n", log.hear("\n"))[0])
        log.hear(f"line {first + 2}\n")
        assert log.heard.split() == f"line {first} line {first + 1} line {first + 2}".split()


def test_followed_logs_end_with_the_container(kubectl: Kubectl) -> None:
    kubectl.apply(pod("brief", shell("echo begin; read line; echo end", stdin=True), restartPolicy="Never"))
    kubectl.ready("brief")
    with piped(kubectl.command("logs", "brief", "--follow")) as log:
        log.hear("begin")
        kubectl("attach", "--stdin", "brief", stdin="go\n")
        assert log.end() == 0

    assert log.heard == "begin\nend\n"


def test_logs_of_the_run_before(theatre: Kubectl) -> None:
    eventually(lambda: theatre.get("pod", "crashing")["status"]["containerStatuses"][0]["restartCount"] >= 1)

    # Just then the runtime may have removed the container that its last report named.
    assert eventually(lambda: theatre("logs", "crashing", "--previous").startswith("last words of run "), patience=15)


def test_logs_of_a_container_that_has_ended(theatre: Kubectl) -> None:
    theatre("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=30s")

    assert theatre("logs", "done") == "all said\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody"], 'pods "nobody" not found'),
        (["choir", "-c", "bass"], "container bass is not valid for pod choir"),
        (["talker", "--previous"], 'previous terminated container "main" in pod "talker" not found'),
    ],
)
def test_logs_that_do_not_exist_are_refused_with_the_reason(
    theatre: Kubectl, arguments: list[str], reason: str
) -> None:
    failed = theatre.run("logs", *arguments)

    assert failed.returncode == 1
    assert reason in failed.stderr.decode()


# -- exec --------------------------------------------------------------------------------------------------------------


def test_exec_keeps_both_outputs_apart(theatre: Kubectl) -> None:
    done = theatre.run("exec", "talker", "--", "sh", "-c", "echo out; echo err >&2")

    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 0)


@pytest.mark.parametrize("code", [1, 7, 255])
def test_exec_ends_with_the_commands_exit_code(theatre: Kubectl, code: int) -> None:
    assert theatre.run("exec", "talker", "--", "sh", "-c", f"exit {code}").returncode == code


def test_exec_takes_arguments_as_they_are(theatre: Kubectl) -> None:
    odd = ["two words", "", "ünïcödé", "a&b=c%20d", "$HOME", "*", "new\nline"]

    assert theatre("exec", "tools", "--", "printf", "[%s]", *odd) == "".join(f"[{word}]" for word in odd)


def test_exec_passes_megabytes_both_ways(theatre: Kubectl) -> None:
    data = random.randbytes(5_000_000)
    done = theatre.run("exec", "--stdin", "talker", "--", "tee", "/dev/stderr", stdin=data)

    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    assert len(done.stderr) == len(data)


def test_exec_without_input_sees_its_end(theatre: Kubectl) -> None:
    assert theatre("exec", "--stdin", "talker", "--", "wc", "-c", stdin="12345").strip() == "5"
    assert theatre("exec", "talker", "--", "wc", "-c").strip() == "0"


def test_exec_gives_a_terminal_of_the_right_size(theatre: Kubectl) -> None:
    with on_terminal(theatre.command("exec", "-it", "tools", "--", "sh"), rows=33, columns=111) as talk:
        # kubectl sends the size beside what is typed, the first one too.
        talk.say("until stty size | grep '33 111'; do sleep 0.1; done; tty; echo $((6*7))\n")
        # Where the shell starts after the line was typed, its prompt comes before the first answer.
        assert re.search(r"\n(\$ )?33 111\n/dev/pts/\d+\n", talk.hear("\n42\n"))
        talk.resize(rows=20, columns=60)
        talk.say("until stty size | grep '20 60'; do sleep 0.1; done\n")
        talk.hear("\n20 60\n")
        talk.say("exit 5\n")
        assert talk.end() == 5


def test_an_interrupt_on_the_terminal_reaches_the_command_inside(theatre: Kubectl) -> None:
    with on_terminal(theatre.command("exec", "-it", "tools", "--", "sh")) as talk:
        talk.say("sleep 100; echo sleep ended with $?\n")
        talk.hear("sleep 100")
        eventually(lambda: "sleep 100" in theatre.execute("tools", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))
        talk.say("\x03")
        talk.hear("$")
        talk.say("echo still $((40+2)) here; exit\n")
        talk.hear("still 42 here")
        assert talk.end() == 0


def test_exec_into_a_chosen_container(theatre: Kubectl) -> None:
    assert theatre.execute("choir", "echo $HOSTNAME", "-c", "low") == "choir"
    assert theatre("exec", "deployment/web", "--", "hostname").startswith("web-")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody", "--", "true"], 'pods "nobody" not found'),
        (["choir", "-c", "bass", "--", "true"], "container bass"),
        (["talker", "--", "no-such-program"], "executable file not found"),
        (["done", "--", "true"], "completed pod"),
    ],
)
def test_exec_that_cannot_be_is_refused_with_the_reason(theatre: Kubectl, arguments: list[str], reason: str) -> None:
    failed = theatre.run("exec", *arguments)

    assert failed.returncode != 0
    assert reason in failed.stderr.decode()


def test_the_hosts_names_are_not_in_what_exec_says(theatre: Kubectl) -> None:
    failed = theatre.run("exec", "talker", "--", "no-such-program")

    assert "-x-" not in failed.stderr.decode()


def older(kubectl: Kubectl) -> Kubectl:
    """kubectl as it was before it learned WebSocket."""
    switches = ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false")
    return replace(kubectl, prefix=(*kubectl.prefix, "env", *switches))


def test_exec_works_with_clients_that_speak_spdy(theatre: Kubectl) -> None:
    data = random.randbytes(2_000_000)
    done = older(theatre).run("exec", "--stdin", "talker", "--", "sh", "-c", "cat; exit 9", stdin=data)

    assert (done.stdout == data, done.returncode) == (True, 9)


def test_a_forward_works_with_clients_that_speak_spdy(theatre: Kubectl) -> None:
    with forwarded(older(theatre), "deployment/web", ":8080") as number:
        assert fetch(number, "/hostname").startswith("web-")


# -- attach, cp, port-forward, debug ---------------------------------------------------------------------------------------


def test_attach_speaks_with_the_main_process(theatre: Kubectl) -> None:
    with piped(theatre.command("attach", "--stdin", "listener")) as talk:
        talk.say("good evening\n")
        talk.hear("heard: good evening")


def test_attach_listens_without_speaking(theatre: Kubectl) -> None:
    with piped(theatre.command("attach", "talker")) as talk:
        talk.hear("line ")


def test_attach_to_a_terminal(theatre: Kubectl) -> None:
    with on_terminal(theatre.command("attach", "-it", "terminal")) as talk:
        talk.say("tty; echo $((6*7))\n")
        assert "/dev/pts/" in talk.hear("\n42\n")


def test_run_waits_for_the_pod_and_speaks_with_it(kubectl: Kubectl) -> None:
    spec = json.dumps({"spec": {"securityContext": ANYBODY, "containers": [{"name": "brief", **DROPPED}]}})
    run = ("run", "brief", "--stdin", "--rm", "--restart=Never", f"--image={BUSYBOX}", "--override-type=strategic")

    done = kubectl(
        *run,
        f"--overrides={spec}",
        "--command",
        "--",
        "sh",
        "-c",
        "read line; echo heard: $line",
        stdin="good evening\n",
    )

    assert "heard: good evening\n" in done
    assert not kubectl.names("pods")


@pytest.mark.parametrize("name", ["talker", "tools"])
def test_files_are_copied_there_and_back(theatre: Kubectl, tmp_path: Path, name: str) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(random.randbytes(1_000_000))

    theatre("cp", str(there), f"{name}:/tmp/copied")
    theatre("cp", f"{name}:/tmp/copied", str(back))

    assert back.read_bytes() == there.read_bytes()


def test_folders_are_copied_there_and_back(theatre: Kubectl, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(50):
        (folder / "deep" / f"{number}.txt").write_text(f"file {number}")
    (folder / "deep" / "er" / "last").write_text("last")

    theatre("cp", str(folder), "tools:/tmp/folder")
    theatre("cp", "tools:/tmp/folder", str(tmp_path / "back"))

    assert theatre.execute("tools", "find /tmp/folder -type f | wc -l") == "51"
    assert {p.name: p.read_text() for p in (tmp_path / "back").rglob("*") if p.is_file()} == {
        p.name: p.read_text() for p in folder.rglob("*") if p.is_file()
    }


FETCH = """
import sys, urllib.request
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=10) as answer:
    sys.stdout.write(answer.read().decode())
"""


def fetch(port: int, path: str) -> str:
    """What the loopback of the tenant's kubectl gives."""
    command = [*inside(), sys.executable, "-c", FETCH, f"http://127.0.0.1:{port}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, *target: str) -> Iterator[int]:
    """A forwarded port; gives its number on loopback."""
    with piped(kubectl.command("port-forward", *target)) as forwarding:
        yield int(re.findall(r"127\.0\.0\.1:(\d+) -> ", forwarding.hear(" -> "))[0])


@pytest.mark.parametrize(
    ("target", "port"), [("deployment/web", ":8080"), ("service/web", ":80"), ("service/web", ":http")]
)
def test_a_port_is_forwarded(theatre: Kubectl, target: str, port: str) -> None:
    with forwarded(theatre, target, port) as number:
        assert fetch(number, "/hostname").startswith("web-")


def test_many_connections_share_a_forward(theatre: Kubectl) -> None:
    with forwarded(theatre, "deployment/web", ":8080") as number, concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda word: fetch(number, f"/echo?msg={word}"), range(16)))

    assert answers == [str(word) for word in range(16)]


def test_a_forward_to_a_port_that_nobody_serves_says_so(theatre: Kubectl) -> None:
    with piped(theatre.command("port-forward", "pod/tools", ":9")) as forwarding:
        number = int(re.findall(r"127\.0\.0\.1:(\d+) -> ", forwarding.hear(" -> "))[0])
        with pytest.raises(subprocess.CalledProcessError):
            fetch(number, "/")
        assert "refused" in forwarding.hear("refused")


DEBUG = ("debug", f"--image={BUSYBOX}", "--profile=restricted", "--container=visitor")


def test_debug_puts_a_container_into_a_running_pod(kubectl: Kubectl) -> None:
    kubectl.apply(pod("web", web(), securityContext=ANYBODY))
    kubectl.ready("web")

    kubectl(*DEBUG, "web", "--", "wget", "-qO-", "http://localhost:8080/hostname")

    def states() -> list[str]:
        return [
            state
            for status in kubectl.get("pod", "web")["status"].get("ephemeralContainerStatuses", ())
            for state in status["state"]
        ]

    assert eventually(lambda: states() == ["terminated"])
    assert kubectl("logs", "web", "-c", "visitor") == "web"


def test_debug_opens_a_shell_beside_a_process(kubectl: Kubectl) -> None:
    kubectl.apply(pod("quiet", patient(), securityContext=ANYBODY))
    kubectl.ready("quiet")
    with on_terminal(kubectl.command(*DEBUG, "-it", "quiet", "--target=main", "--", "sh")) as talk:
        talk.hear("try pressing enter")
        talk.say("\nps; hostname\n")
        assert "sleep infinity" in talk.hear("\nquiet\n")
        talk.say("exit\n")
        assert talk.end() == 0


def test_debug_makes_a_copy_of_a_pod(theatre: Kubectl) -> None:
    with on_terminal(theatre.command(*DEBUG, "-it", "talker", "--copy-to=copy", "--", "sh")) as talk:
        talk.hear("try pressing enter")
        talk.say("\nhostname; exit\n")
        assert talk.end() == 0

    assert "\ncopy\n" in talk.heard
    assert {container["name"] for container in theatre.get("pod", "copy")["spec"]["containers"]} == {"main", "visitor"}


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_describe_tells_the_life_of_a_pod(theatre: Kubectl) -> None:
    def told() -> str | None:
        text = theatre("describe", "pod", "talker")
        return text if all(word in text for word in ("Scheduled", "Pulled", "Created", "Started")) else None

    text = eventually(told, patience=20)
    node = theatre.get("pod", "talker")["spec"]["nodeName"]
    assert f"Successfully assigned {theatre.namespace}/talker to {node}" in text
    assert "-x-" not in text


def test_events_of_a_pod_can_be_listed(theatre: Kubectl) -> None:
    events = eventually(
        lambda: theatre.items("events", "--field-selector=involvedObject.name=crashing,reason=BackOff"), patience=30
    )

    assert events[0]["involvedObject"]["uid"] == theatre.get("pod", "crashing")["metadata"]["uid"]
    assert events[0]["type"] == "Warning"
    assert f"crashing_{theatre.namespace}" in events[0]["message"]


def test_a_list_shows_addresses_nodes_and_restarts(theatre: Kubectl) -> None:
    found = theatre.get("pod", "crashing")
    line = eventually(lambda: re.search(r"^crashing .*$", theatre("get", "pods", "-o", "wide"), re.MULTILINE))[0]

    assert found["status"]["podIP"] in line.split()
    assert found["spec"]["nodeName"] in line.split()
    assert eventually(lambda: "CrashLoopBackOff" in theatre("get", "pod", "crashing"), patience=40)


def test_a_watch_shows_a_pod_from_pending_to_gone(kubectl: Kubectl) -> None:
    columns = "custom-columns=PHASE:.object.status.phase,TYPE:.type"
    with piped(
        kubectl.command("get", "pods", "--watch", "--output-watch-events", "--no-headers", "-o", columns)
    ) as watch:
        kubectl.apply(pod("brief", patient()))
        watch.hear("Running")
        kubectl("delete", "pod", "brief")
        watch.hear("DELETED")

    phases = list(dict.fromkeys(line.split()[0] for line in watch.heard.splitlines()))
    assert phases[:2] == ["Pending", "Running"]


def test_wait_understands_conditions_values_and_deletion(kubectl: Kubectl) -> None:
    kubectl.apply(pod("brief", patient()))

    kubectl("wait", "--for=condition=Ready", "pod/brief", "--timeout=30s")
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/brief", "--timeout=10s")
    kubectl("delete", "pod", "brief", "--wait=false")
    kubectl("wait", "--for=delete", "pod/brief", "--timeout=30s")
    assert kubectl.run("wait", "--for=condition=Ready", "pod/brief", "--timeout=1s").returncode != 0


def test_top_says_that_there_are_no_figures(theatre: Kubectl) -> None:
    assert b"Metrics API not available" in theatre.run("top", "pods").stderr


def test_a_node_is_described_with_the_pods_it_runs(theatre: Kubectl) -> None:
    text = theatre("describe", "node", theatre.get("pod", "talker")["spec"]["nodeName"])

    assert re.search(rf"{theatre.namespace}\s+talker", text)
    assert re.search(r"Ready\s+True", text)
