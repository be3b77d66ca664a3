#!/usr/bin/env python3
"""Compares Candour's import of WhatsApp chats with other parsers, on one core, in one run.

usage: compare.py WORK FILE...

Installs the others by name into WORK (npm, pip and cargo), builds the measuring examples of
candour-import, and prints two tables in Markdown: speed and memory on each FILE, and how many of
the quirk cases of agent/import/tests/cases each one reads rightly. Each figure is the best of
three runs, each in a process of its own. Speed is the file's size by the processor time of the
whole process, which other work on the machine disturbs least; each process may use one core.
generate.py makes FILEs.

Each parser is given a task and a file: `speed` answers with one JSON object {messages,
peak_bytes, …}; `case` with a list of {t, author, text}. A parser that fails has refused the file.
"""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
CASES = REPO / "agent/import/tests/cases"
RUNS = 3
TIME_LIMIT_S = 600
ONE_CORE = ["taskset", "-c", "0"]


def main():
    work = Path(sys.argv[1]).resolve()
    files = [Path(file).resolve() for file in sys.argv[2:]]
    work.mkdir(parents=True, exist_ok=True)
    parsers = install(work)
    speed_table(parsers, files)
    print()
    case_table(parsers)


def install(work):
    """Name -> command that takes a task and a file."""
    js, venv, target = work / "js", work / "venv", work / "target"
    js.mkdir(exist_ok=True)
    (js / "package.json").write_text("{}")
    call("npm", "install", "--silent", "--ignore-scripts", "whatsapp-chat-parser@4.0.2", cwd=js)
    if not venv.exists():
        call(sys.executable, "-m", "venv", venv)
    call(venv / "bin/pip", "install", "--quiet", "whatstk==0.9.1")
    build = ["cargo", "build", "--release", "--quiet"]
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    call(*build, cwd=HERE / "others", env=env)
    call(*build, "-p", "candour-import", "--example", "measure", "--example", "rows", cwd=REPO, env=env)

    measure, rows = target / "release/examples/measure", target / "release/examples/rows"
    others = target / "release/compare-others"

    def candour(mode):
        return lambda task, file: [measure, mode, file] if task == "speed" else [rows, mode, file]

    return {
        "candour, index": candour("index"),
        "candour, index + SHA-256 each": candour("digest"),
        "candour, streaming": candour("stream"),
        "whatsapp-chat-parser 4.0.2 (npm)": lambda task, file: [
            "node", "--max-old-space-size=8192", HERE / "whatsapp_chat_parser.mjs", task, file, js,
        ],
        "wc-parser 0.1.2 (crate)": lambda task, file: [others, "wc-parser", task, file],
        "chatpack 0.7.0 (crate)": lambda task, file: [others, "chatpack", task, file],
        "whatstk 0.9.1 (PyPI)": lambda task, file: [
            venv / "bin/python", HERE / "whatstk_run.py", task, file,
        ],
    }


def speed_table(parsers, files):
    for file in files:
        size = file.stat().st_size
        print(f"### {file.name}, {size / 1e6:.0f} MB\n")
        print("| parser | MB/s | times slower than our index | messages | peak memory | × file |")
        print("|---|---:|---:|---:|---:|---:|")
        best = None
        for name, command in parsers.items():
            # Those that take minutes are not run again.
            runs = []
            while len(runs) < RUNS and sum(run["seconds"] for run in runs) < 60:
                before = processor_seconds()
                answer = ask(command("speed", file))
                if answer is None:
                    break
                runs.append({**answer, "seconds": processor_seconds() - before})
            if not runs:
                print(f"| {name} | refused | | | | |", flush=True)
                continue
            run = min(runs, key=lambda run: run["seconds"])
            best = best or run["seconds"]
            peak = run["peak_bytes"]
            print(
                f"| {name} | {size / 1e6 / run['seconds']:.1f} | {run['seconds'] / best:.1f} | "
                f"{run['messages']} | {peak / 1e6:.1f} MB | {peak / size:.2f} |",
                flush=True,
            )
        print()


def processor_seconds():
    """What all processes that were started and have ended used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def case_table(parsers):
    expected = json.loads((CASES / "expected.json").read_text())
    print(f"### {len(expected)} quirk cases\n")
    print("| parser | right | refused or nothing read | silently wrong | which are wrong |")
    print("|---|---:|---:|---:|---|")
    for name, command in parsers.items():
        if name == "candour, index + SHA-256 each":
            continue
        right, refused, wrong = 0, 0, []
        for case, what in expected.items():
            rows = ask(command("case", CASES / f"{case}.txt"))
            if not rows:
                refused += 1
            elif list(map(plain, rows)) == list(map(plain, what["expect"])):
                right += 1
            else:
                wrong.append(case)
        print(f"| {name} | {right} | {refused} | {len(wrong)} | {', '.join(wrong)} |", flush=True)


def plain(row):
    """A row without what parsers may well differ in: marks, kinds of spaces, line endings."""

    def tidy(text):
        text = re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", "", text or "")
        return re.sub("[\u00a0\u202f]", " ", text).replace("\r\n", "\n").rstrip("\n")

    time = (row["t"] or "").replace(" ", "T")[:19]
    return time, tidy(row["author"]), tidy(row["text"])


def ask(command):
    """The JSON that a parser answers, or None when it refuses or takes too long."""
    env = {**os.environ, "TZ": "UTC", "RAYON_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [*ONE_CORE, *map(str, command)], capture_output=True, env=env, timeout=TIME_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout) if done.returncode == 0 else None


def call(*command, **options):
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)


if __name__ == "__main__":
    main()
