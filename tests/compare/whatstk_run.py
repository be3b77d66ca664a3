"""Runs the Python parser that Candour is compared with. See compare.py for the task."""

import json
import resource
import sys
import time

from whatstk import df_from_whatsapp

task, file = sys.argv[1:]
started = time.perf_counter()
frame = df_from_whatsapp(file, max_size=None)
seconds = time.perf_counter() - started
if task == "speed":
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"messages": len(frame), "seconds": seconds, "peak_bytes": peak}))
else:
    rows = zip(frame["date"], frame["username"], frame["message"])
    print(json.dumps([{"t": str(t), "author": a, "text": m} for t, a, m in rows]))
