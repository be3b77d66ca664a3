#!/usr/bin/env python3
"""Synthetic exports of one chat, or of one mailbox (deterministic; invented content only).

usage: gen_exports.py KIND SIZE_MB OUT

KIND is signal (main.jsonl), telegram (result.json), meta (message_1.json), teams (messages.json),
slack (one day's file) or mbox. generate.py makes WhatsApp's, gen_sms.py those of text messages.
"""
import base64
import datetime
import json
import random
import sys

WORDS = ("minute meeting draft submission Minister briefing annex budget spend team approve tomorrow the a of to in "
         "and is we will can you please check with treasury press office line clearance by noon call me when free ok "
         "thanks seen latest version attached contract supplier delay risk legal advice urgent options paper").split()
TAILS = ["", "", "", " 👍", " 🙏🏽", " £1.2m", " é"]
PEOPLE = ["Alice Example", "Bob O'Neil", "Chloë Ngata-Świątek", "Priya Sample"]
BEGIN = 1704265200
CHUNK = 1 << 16

draw = random.Random(7)


def words():
    return " ".join(draw.choices(WORDS, k=draw.randint(2, 20))) + draw.choice(TAILS)


def moments():
    """Seconds since 1970, one for each message."""
    moment = BEGIN
    while True:
        moment += draw.randint(3, 300)
        yield moment


def iso(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def signal(number, moment):
    sent = {"outgoing": {"sendStatus": [{"recipientId": "2", "timestamp": str(moment * 1000 + 5),
                                         "read": {"sealedSender": True}}]}}
    received = {"incoming": {"dateReceived": str(moment * 1000 + 7), "dateServerSent": str(moment * 1000 + 2),
                             "read": True, "sealedSender": True}}
    return json.dumps({"chatItem": {"chatId": "1", "authorId": str(draw.randint(1, 4)),
                                    "dateSent": str(moment * 1000), **draw.choice([sent, received]),
                                    "standardMessage": {"text": {"body": words()}}}}, ensure_ascii=False)


def signal_head():
    lines = [{"version": "1", "backupTimeMs": str(BEGIN * 1000), "mediaRootBackupKey": "AA=="}]
    for place, name in enumerate(PEOPLE, 1):
        lines.append({"recipient": {"id": str(place), "contact": {"aci": "AA==", "e164": f"4477009001{place:02}",
                                                                  "profileGivenName": name}}})
    lines.append({"chat": {"id": "1", "recipientId": "2"}})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def telegram(number, moment):
    person = draw.randrange(len(PEOPLE))
    text = words()
    message = {"id": number, "type": "message", "date": iso(moment), "date_unixtime": str(moment),
               "from": PEOPLE[person], "from_id": f"user{person}",
               "text": text if draw.random() < 0.8 else [text, {"type": "bold", "text": "x"}],
               "text_entities": [{"type": "plain", "text": text}]}
    return json.dumps(message, ensure_ascii=False, indent=1)


def latin_1(text):
    """Text as Meta writes it: each byte of its UTF-8 as a character."""
    return text.encode().decode("latin-1")


def meta(number, moment):
    # Newest first.
    moment = 2 * BEGIN - moment
    return json.dumps({"sender_name": latin_1(draw.choice(PEOPLE)), "timestamp_ms": moment * 1000 + number % 1000,
                       "content": latin_1(words()), "is_geoblocked_for_viewer": False}, indent=2)


def teams(number, moment):
    moment = 2 * BEGIN - moment
    return json.dumps({"id": str(moment * 1000), "displayName": None, "originalarrivaltime": iso(moment) + "Z",
                       "messagetype": "RichText", "version": moment * 1000, "content": words(),
                       "conversationid": "8:live:alice", "from": f"8:live:{draw.randrange(4)}",
                       "properties": None, "amsreferences": None})


def slack(number, moment):
    return json.dumps({"type": "message", "user": f"U{draw.randrange(4):08}", "text": words(),
                       "ts": f"{moment}.{number % 1000000:06}"}, indent=4)


def mbox(number, moment):
    date = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    body = "\n".join(words() for _ in range(draw.randint(3, 60)))
    sender = f"person{draw.randint(1, 9)}@example.org"
    head = (f"From {sender} {date:%a %b %e %H:%M:%S %Y}\nFrom: {sender}\nTo: office@example.gov.uk\n"
            f"Subject: {words()[:40]}\nDate: {date:%a, %d %b %Y %H:%M:%S} +0000\nMessage-ID: <{number}@example.org>\n"
            "MIME-Version: 1.0\n").encode()
    text = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + body.encode() + b"\n"
    if draw.random() >= 0.2:
        return head + text + b"\n"
    file = base64.encodebytes(draw.randbytes(draw.randint(1000, 60000)))
    return (head + b"Content-Type: multipart/mixed; boundary=next\n\n--next\n" + text
            + b"--next\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=annex.pdf\n"
            b"Content-Transfer-Encoding: base64\n\n" + file + b"--next--\n\n")


PARTICIPANTS = json.dumps([{"name": latin_1(name)} for name in PEOPLE])
KINDS = {
    "signal": (signal, signal_head(), "\n", "\n"),
    "telegram": (telegram, '{"name": "Team", "type": "private_supergroup", "id": 1, "messages": [\n', ",\n", "\n]}\n"),
    "meta": (meta, '{"participants": ' + PARTICIPANTS + ', "messages": [\n', ",\n",
             '\n], "title": "Team", "thread_path": "inbox/team_1"}\n'),
    "teams": (teams, '{"userId": "8:live:0", "exportDate": "2024-06-02T09:15", "conversations": [{"id": '
              '"8:live:alice", "displayName": "Alice Example", "MessageList": [\n', ",\n", "\n]}]}\n"),
    "slack": (slack, "[\n", ",\n", "\n]\n"),
    "mbox": (mbox, "", "", ""),
}


def main():
    kind, size, out = sys.argv[1], float(sys.argv[2]) * 1e6, sys.argv[3]
    make, head, between, end = KINDS[kind]
    encode = lambda part: part if isinstance(part, bytes) else part.encode()
    written, count = 0, 0
    with open(out, "wb", buffering=CHUNK) as file:
        written += file.write(encode(head))
        for count, moment in enumerate(moments()):
            if written >= size:
                break
            if count:
                written += file.write(encode(between))
            written += file.write(encode(make(count, moment)))
        file.write(encode(end))
    print(f"{kind}: {count} messages")


main()
