#!/usr/bin/env python3
"""Synthetic WhatsApp 'Export chat' generator (deterministic; invented content only).

usage: generate.py STYLE SIZE_MB OUT.txt [--seed N] [--truth OUT.jsonl]
STYLE: ios24      [dd/mm/yyyy, HH:MM:SS] Name: text     CRLF, U+200E markers (en-GB iPhone)
       android24  dd/mm/yyyy, HH:MM - Name: text        LF (en-GB Android)
       android12  m/d/yy, h:mm<U+202F>PM - Name: text   LF (en-US Android)
       mixed      blocks of ios24 and android24 alternating in one file (stress; real files are not mixed)
Writes OUT.txt and OUT.txt.meta.json (counts of user/system messages, lines, multi-line, media, ...).
--truth also writes one JSON per record: {t, author, text, kind}  (slow/large; use with small sizes)
"""
import argparse, datetime as dt, json, random

LRM, NNBSP, NBSP = "\u200e", "\u202f", "\u00a0"
WORDS = ("minute meeting draft submission Minister briefing annex budget spend team approve tomorrow the a of to in "
 "and is we will can you please check with treasury press office line clearance by noon call me when free ok thanks "
 "seen latest version attached contract supplier delay risk legal advice urgent options paper read ahead diary slot "
 "train late coffee lunch kids school weekend football match great sorry running yes no maybe perhaps agree £1.2m "
 "Q3 figures 14:30 room 2.17 https://example.gov.uk/page?id=42 re: FYI w/c").split()
EMOJI = ["👍","😂","🙏","❤️","👨‍👩‍👧‍👦","🇬🇧","🏴󠁧󠁢󠁥󠁮󠁧󠁿","👍🏽","🤷🏻‍♀️","🎉","😬","✅"]
NONLAT = ["Diolch yn fawr, iawn", "très bien, à demain", "שלום לך", "مرحبا بك", "日本語のテスト", "Größe straße"]
NAMES = ["Alice Example","Bob O'Neil","Chloë Ngata-Świątek","~"+NNBSP+"Dev P","\u202a+44 7700 900123\u202c",
         "Erin 🌱","Private Office (Duty)","عمر","Yeo Wei Ming","PS/Minister - Sample"]
GROUP = "Budget Bill 2026 – core team"

class G:
    def __init__(s, style, seed):
        s.r = random.Random(seed); s.style = style
        s.t = dt.datetime(2024, 1, 3, 7, 0, 0)
        s.c = dict(user=0, system=0, multiline=0, media=0, edited=0, deleted=0, poll=0, lines=0, bytes=0)
        pool = s.r.choices
        s.sent = [" ".join(pool(WORDS, k=s.r.randint(1, 22))) for _ in range(6000)]   # pre-baked for speed
    def text(s):
        r = s.r; x = r.random(); b = r.choice(s.sent)
        if x < .25: b += " " + r.choice(EMOJI) * r.randint(1, 3)
        elif x < .30: b = r.choice(NONLAT) + " " + b
        return b
    def record(s):
        """-> (kind, author|None, [lines])   lines are body lines without the header"""
        r = s.r; ios = s.cur == "ios24"; x = r.random(); a = r.choice(NAMES)
        L = LRM if ios else ""
        if x < .02:
            m = r.choice([f"{a} added Bob O'Neil", f"{a} changed the group description", f"{a} left",
                          "Messages and calls are end-to-end encrypted. Only people in this chat can read, listen to, or share them."])
            return ("system", GROUP if ios else None, [L + m])     # iOS >= ~2023: system rows carry an author
        if x < .07:
            n = r.randint(1, 99999)
            if ios: b = f"{LRM}<attached: {n:08d}-PHOTO-{s.t:%Y-%m-%d-%H-%M-%S}.jpg>"
            else: b = r.choice(["<Media omitted>", f"IMG-{s.t:%Y%m%d}-WA{n%10000:04d}.jpg (file attached)"])
            return ("media", a, [b])
        if x < .08: return ("edited", a, [s.text() + f" {L}<This message was edited>"])
        if x < .085: return ("deleted", a, [L + ("This message was deleted." if ios else "This message was deleted")])
        if x < .087: return ("poll", a, [L + "POLL:", s.text()] + [f"{L}OPTION: {w} ({L}{r.randint(0,9)} votes)" for w in r.sample(WORDS, 3)])
        if x < .20:
            k = r.choice((2, 2, 2, 3, 3, 4, 6, 12)); ls = [s.text() for _ in range(k)]
            if k > 2 and r.random() < .4: ls[r.randint(1, k-2)] = ""
            return ("multiline", a, ls)
        return ("user", a, [s.text()])
    def header(s):
        t = s.t
        if s.cur == "ios24": return f"[{t:%d/%m/%Y, %H:%M:%S}] "
        if s.cur == "android24": return f"{t:%d/%m/%Y, %H:%M} - "
        h = t.hour % 12 or 12
        return f"{t.month}/{t.day}/{t:%y}, {h}:{t:%M}{NNBSP}{'PM' if t.hour >= 12 else 'AM'} - "
    def run(s, size, out, truth=None):
        c = s.c; buf = []; blk = 0; s.cur = s.style if s.style != "mixed" else "ios24"
        while c["bytes"] < size:
            if s.style == "mixed":
                blk += 1
                if blk % 500 == 0: s.cur = "android24" if s.cur == "ios24" else "ios24"
            # ~1M messages must stay within 2024-2025 so that dates stay plausible and sorted
            s.t += dt.timedelta(seconds=s.r.choice((3, 7, 15, 30, 60, 90, 240)))
            kind, a, ls = s.record(); nl = "\r\n" if s.cur == "ios24" else "\n"
            pre = LRM if (s.cur == "ios24" and ls[0].startswith(LRM) and kind in ("media",)) else ""
            row = pre + s.header() + (f"{a}: " if a else "") + nl.join(ls) + nl
            b = row.encode(); c["bytes"] += len(b); c["lines"] += len(ls)
            c["system" if kind == "system" else "user"] += 1
            if kind not in ("user", "system"): c[kind] += 1
            buf.append(b)
            if truth: truth.write(json.dumps(dict(t=s.t.isoformat(), author=a, text="\n".join(ls), kind=kind), ensure_ascii=False) + "\n")
            if len(buf) >= 20000: out.write(b"".join(buf)); buf.clear()
        out.write(b"".join(buf)); return c

if __name__ == "__main__":
    p = argparse.ArgumentParser(); p.add_argument("style"); p.add_argument("mb", type=float); p.add_argument("out")
    p.add_argument("--seed", type=int, default=20260101); p.add_argument("--truth")
    a = p.parse_args(); g = G(a.style, a.seed); tf = open(a.truth, "w") if a.truth else None
    with open(a.out, "wb") as f: c = g.run(int(a.mb * 1e6), f, tf)
    c["messages"] = c["user"] + c["system"]; c["style"] = a.style; c["seed"] = a.seed
    json.dump(c, open(a.out + ".meta.json", "w"), indent=1); print(json.dumps(c))
