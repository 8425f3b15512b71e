"""Calls every public method of the SDK's two clients; prints what they returned, by method, as JSON."""

import json
import os
import pathlib
import sys

from agentcube import AgentRuntimeClient, CodeInterpreterClient
from agentcube.exceptions import CommandExecutionError
from requests.exceptions import ReadTimeout

namespace = sys.argv[1]


def public_methods(cls):
    return sorted(name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name)))


def failure(call):
    try:
        call()
    except Exception as error:
        return error
    return None


def too_late(client):
    # The SDK itself waits for the answer 2 s longer than for the command, which a busy machine may exceed.
    for _ in range(5):
        error = failure(lambda: client.execute_command("sleep 60", timeout=0.5))
        if not isinstance(error, ReadTimeout):
            break
    return error


def code_interpreter():
    seen = {}
    with CodeInterpreterClient(name="py", namespace=namespace) as client:
        seen["session_id"] = client.session_id
        seen["execute_command"] = client.execute_command("echo 'a b'", timeout=20)
        seen["execute_command, a list"] = client.dp_client.execute_command(["printf", "%s", "x"])
        refused = failure(lambda: client.execute_command("sh -c 'echo bad >&2; exit 3'"))
        assert isinstance(refused, CommandExecutionError), refused
        seen["execute_command, failing"] = [refused.exit_code, refused.stderr]
        late = too_late(client)
        assert isinstance(late, CommandExecutionError), late
        seen["execute_command, too long"] = late.exit_code
        seen["run_code"] = client.run_code("python", "print(6 * 7)")
        seen["run_code, bash"] = client.run_code("bash", "for i in 1 2 3; do printf $i; done")
        client.write_file("héllo", "dir/hello.txt")
        seen["write_file"] = client.execute_command("cat dir/hello.txt")
        content = os.urandom(3_000_000)
        pathlib.Path("up.bin").write_bytes(content)
        client.upload_file("up.bin", "/up.bin")
        client.download_file("up.bin", "down/down.bin")
        seen["upload_file"] = client.execute_command("wc -c up.bin").split()[0]
        seen["download_file"] = pathlib.Path("down/down.bin").read_bytes() == content
        seen["list_files"] = sorted(entry["name"] for entry in client.list_files() if not entry["name"].startswith("script_"))
        again = CodeInterpreterClient(name="py", namespace=namespace, session_id=client.session_id)
        seen["session reuse"] = again.run_code("python", "print(open('dir/hello.txt').read())")
        again.dp_client.close()
        seen["missing file"] = failure(lambda: client.download_file("absent", "absent")).response.status_code
    seen["stop, by the context manager"] = client.session_id
    stopped = CodeInterpreterClient(name="py", namespace=namespace)
    first = stopped.session_id
    stopped.stop()
    seen["stop"] = [first, stopped.cp_client.delete_session(first)]
    return seen


def agent_runtime():
    seen = {}
    with AgentRuntimeClient(agent_name="echo", namespace=namespace) as client:
        seen["session_id"] = client.session_id
        answer = client.invoke({"prompt": "hi"}, timeout=20)
        seen["invoke"] = [answer["method"], answer["url"], json.loads(answer["body"])]
        again = AgentRuntimeClient(agent_name="echo", namespace=namespace, session_id=client.session_id)
        seen["session reuse"] = again.invoke({})["headers"]["x-agentcube-session-id"]
        seen["close"] = again.close()
    return seen


def errors():
    unknown = failure(lambda: CodeInterpreterClient(name="absent", namespace=namespace))
    agent = failure(lambda: AgentRuntimeClient(agent_name="absent", namespace=namespace))
    return {
        "unknown interpreter": [unknown.response.status_code, unknown.response.text],
        "unknown agent": [agent.response.status_code, agent.response.text],
    }


print(
    json.dumps(
        {
            "methods": {cls.__name__: public_methods(cls) for cls in (CodeInterpreterClient, AgentRuntimeClient)},
            "CodeInterpreterClient": code_interpreter(),
            "AgentRuntimeClient": agent_runtime(),
            "errors": errors(),
        }
    )
)
