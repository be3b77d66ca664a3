#!/usr/bin/env python3
"""Synthetic SMS Backup & Restore export (deterministic; invented content only).

usage: gen_sms.py SIZE_MB OUT.xml [--media SHARE] [--chats N] [--seed N]

Writes as the app does: text messages first, then MMS, every attribute of the phone's store, quotes
and references as Android's XmlSerializer chooses them, characters outside the first 65,536 as two
references. SHARE of the bytes (0.5 unless told) are MMS with base64 images of some 300 kB.
"""
import argparse, base64, random

WORDS = ("minute meeting draft submission Minister briefing annex budget spend team approve tomorrow the a of to in "
 "and is we will can you please check with treasury press office line clearance by noon call me when free ok thanks "
 "seen latest version attached contract supplier delay risk legal advice urgent options paper read ahead diary slot "
 "train late coffee & <b> \"as drafted\" isn't £1.2m Q3 14:30").split()
TAILS = ["", "", "", " 👍", " 🙏🏽", "\nThanks", " é", " 日本語"]
NAMES = ["Alice Example", "Bob O'Neil", "Chloë Ngata-Świątek", "Priya Sample", "(Unknown)"]


def quoted(text):
    quote = "'" if '"' in text else '"'
    out = []
    for char in text:
        if char in "&<>":
            out.append({"&": "&amp;", "<": "&lt;", ">": "&gt;"}[char])
        elif char == quote or char in "\n\r\t":
            out.append(f"&#{ord(char)};" if char != "'" else "&apos;")
        elif ord(char) > 0xFFFF:
            units = char.encode("utf-16-be")
            out += [f"&#{int.from_bytes(units[at:at + 2], 'big')};" for at in (0, 2)]
        else:
            out.append(char)
    return quote + "".join(out) + quote


def attributes(pairs):
    return " ".join(f"{name}={quoted(str(value))}" for name, value in pairs.items())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("size", type=float)
    parser.add_argument("out")
    parser.add_argument("--media", type=float, default=0.5)
    parser.add_argument("--chats", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    r = random.Random(args.seed)
    size, texts_to = int(args.size * 1e6), int(args.size * 1e6 * (1 - args.media))
    people = [(f"+4477009{n:05d}", NAMES[n % len(NAMES)] if n >= len(NAMES) else NAMES[n]) for n in range(args.chats)]
    said = lambda: " ".join(r.choices(WORDS, k=r.randint(2, 24))) + r.choice(TAILS)
    image = base64.b64encode(r.randbytes(240_000)).decode()
    count, written, at = 0, 0, 1704265200000
    body_path = args.out + ".body"
    with open(body_path, "w", encoding="utf-8", newline="\n") as body:
        while written < texts_to:
            at += r.randint(3000, 300000)
            number, name = r.choice(people)
            sent = r.random() < 0.5
            line = "  <sms " + attributes(dict(protocol=0, address=number, date=at, type=2 if sent else 1, subject="null",
                body=said(), toa="null", sc_toa="null", service_center="null" if sent else "+447700900999", read=1, status=-1,
                locked=0, date_sent=0 if sent else at - 1500, sub_id=1, readable_date="1 Jun 2024 10:01:00", contact_name=name)) + " />\n"
            written += len(line.encode())
            count += 1
            body.write(line)
        at = 1704265200000
        while written < size:
            at += r.randint(3000, 3000000)
            several = r.sample(people, 2 if r.random() < 0.3 else 1)
            sent = r.random() < 0.5
            line = "  <mms " + attributes(dict(date=at, rr=129, sub="null", ct_t="application/vnd.wap.multipart.related",
                seen=1, msg_box=2 if sent else 1, address="~".join(p[0] for p in several), sub_cs="null", text_only=0,
                date_sent=0, m_type=128 if sent else 132, readable_date="1 Jun 2024 10:01:00",
                contact_name=", ".join(p[1] for p in several))) + ">\n    <parts>\n"
            part = lambda **own: "      <part " + attributes({**dict(seq=0, ct="null", name="null", chset="null", cd="null", fn="null",
                cid="null", cl="null", ctt_s="null", ctt_t="null", text="null"), **own})
            line += part(ct="application/smil", text='<smil><body><par dur="5000ms"/></body></smil>') + " />\n"
            line += part(ct="text/plain", chset=106, text=said()) + " />\n"
            if args.media > 0:
                start = r.randrange(0, 80_000, 4)
                line += part(ct="image/jpeg", cl="image.jpg") + f' data="{image[start:]}" />\n'
            line += "    </parts>\n    <addrs>\n"
            line += f'      <addr address="{"insert-address-token" if sent else several[0][0]}" type="137" charset="106" />\n'
            line += "".join(f'      <addr address="{p[0]}" type="151" charset="106" />\n' for p in several[0 if sent else 1:])
            line += "    </addrs>\n  </mms>\n"
            written += len(line.encode())
            count += 1
            body.write(line)
    import os, shutil
    with open(args.out, "wb") as out, open(body_path, "rb") as body:
        out.write(b"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!--File Created By SMS Backup & Restore v10.20.002-->\n")
        out.write(f'<smses count="{count}" backup_set="0" backup_date="{at}" type="full">\n'.encode())
        shutil.copyfileobj(body, out)
        out.write(b"</smses>\n")
    os.remove(body_path)
    print(count, "messages")


main()
