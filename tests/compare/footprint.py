#!/usr/bin/env python3
"""How much memory and time the agent's own program takes, as its user has it.

    footprint.py CANDOUR [RECORDS [SERVER ...]]

CANDOUR is the program to measure, RECORDS how many declarations to make and send (1,000), SERVER the
command of the departmental server (`candour-server`). A department and a handset are made in a
folder that goes again. Each command is a process of its own; for each it prints the most memory that
the process had, its processor time and its wall time: the largest memory and the medians where there
are several. Needs GNU time.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time


def measured(command, **settings):
    """Runs a command to its end: memory in MB, processor and wall time in ms.

    A process counts the memory of the one that started it as its own until it becomes another
    program, and this one is large; hence the small `time` between them.
    """
    with tempfile.NamedTemporaryFile("r") as said:
        command = ["time", "-f", "%M", "-o", said.name, *command]
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **settings)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{command} ended with {process.returncode}")
        processor = usage.ru_utime + usage.ru_stime
        return int(said.read()) * 1024 / 1e6, processor * 1e3, wall * 1e3


def resident_mb(command):
    """Memory of a command that stays up, once it has come to rest."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        before, now = None, 0.0
        while before != now:
            time.sleep(1)
            with open(f"/proc/{process.pid}/status") as status:
                kib = next(line.split()[1] for line in status if line.startswith("VmRSS:"))
            before, now = now, int(kib) * 1024 / 1e6
        return now
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def show(name, runs):
    memory, processor, wall = zip(*runs)
    middle = statistics.median
    print(f"| {name} | {max(memory):.1f} | {middle(processor):.1f} | {middle(wall):.1f} |", flush=True)


def main():
    agent = sys.argv[1]
    records = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    server = sys.argv[3:] or ["candour-server"]
    with tempfile.TemporaryDirectory() as scratch:
        data, home = f"{scratch}/department", f"{scratch}/handset"
        listeners = ("public", "handset", "ops")
        ports = [word for name in listeners for word in (f"--{name}-port", str(free_port()))]
        names = ["--department", "hm-treasury", "--name", "HM Treasury", "--host", "127.0.0.1"]
        subprocess.run([*server, "init", "--data", data, *names, *ports], check=True, stdout=subprocess.DEVNULL)
        serving = subprocess.Popen(
            [*server, "serve", "--json", "--data", data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            # It says so when it serves.
            serving.stdout.readline()
            measure(agent, records, server, data, home)
        finally:
            serving.terminate()
            serving.wait()


def measure(agent, records, server, data, home):
    os.mkdir(home, 0o700)
    shutil.copy(f"{data}/agent/hm-treasury.toml", f"{home}/config.toml")
    token = subprocess.run(
        [*server, "token", "new", "--data", data, "--label", "PHONE-0001"], check=True, capture_output=True
    )
    run = lambda *words, **settings: measured([agent, "--home", home, *words], **settings)
    print("| command | MB, most | processor time, ms | wall time, ms |")
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryFile() as file:
        file.write(token.stdout)
        file.seek(0)
        show("`enrol`", [run("enrol", "--token-file", "-", stdin=file)])
    show("`scan`", [run("scan")])
    chat = f"{home}/chat.txt"
    with open(chat, "w") as file:
        for number in range(records):
            hour, minute = divmod(number % 1_440, 60)
            file.write(f"13/02/2026, {hour:02}:{minute:02} - Alice Example: Message {number}: the annex is agreed.\n")
    fields = ["--significance", "logistical", "--marking", "official", "--direction", "received"]
    fields += ["--by", "Ada Lovell (Private Secretary)", "--yes"]
    show(
        f"`import`, one message of {records:,} declared",
        [run("import", chat, "--pick", str(number + 1), *fields) for number in range(records)],
    )
    show("`status` with all of them waiting", [run("status") for _ in range(20)])
    show("`sync` of all of them", [run("sync")])
    show("`sync` with nothing to send", [run("sync") for _ in range(20)])
    show("`sent`", [run("sent")])
    show("`verify`", [run("verify")])
    print(f"| `run`, at rest | {resident_mb([agent, '--home', home, 'run']):.1f} | | |")


main()
