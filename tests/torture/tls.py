#!/usr/bin/env python3
"""Lets three TLS scanners loose on a gateway, and judges what they found.

    tests/torture/tls.py [--program PATH] [--only testssl,sslyze,tlslite] [--control]

testssl.sh comes from the system's packages (Debian: testssl.sh), sslyze and tlslite-ng from PyPI
into a virtual environment under the build directory. The gateway is this project's, freshly made,
on loopback; both of its TLS listeners are scanned. Whatever is found is compared with what is
expected here, finding by finding: an exit code alone says nothing, and a finding that nobody
expected fails the trial.

A trial that cannot fail counts for nothing: with --control the same scanners judge a server that
speaks TLS 1.2, hands out tickets and asks nobody for a certificate, and the trial fails unless
each scanner objects.
"""

import argparse
import base64
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SUITES = {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}
GROUPS = {"X25519", "secp256r1", "prime256v1"}


class Verdicts:
    """What was expected, and what was found."""

    def __init__(self):
        self.rows = []

    def note(self, scanner, listener, what, right, found):
        self.rows.append((scanner, listener, what, right, str(found)))

    def objections(self, scanner=None):
        return [row for row in self.rows if not row[3] and scanner in (None, row[0])]

    def show(self):
        for scanner, listener, what, right, found in self.rows:
            print(f"{'ok  ' if right else 'BAD '} {scanner:9} {listener:8} {what:44} {found[:90]}")


class Gateway:
    """A gateway with one enrolled handset. Leaving the context ends it."""

    def __init__(self, program, scratch):
        self.program, self.scratch, self.data = program, scratch, scratch / "data"

    def command(self, *args):
        made = subprocess.run(
            [self.program, "server", *args, "--data", self.data],
            check=True, capture_output=True, text=True,
        )
        return made.stdout

    def __enter__(self):
        self.command("init", "--department", "hm-treasury", "--name", "HM Treasury",
                     "--host", "127.0.0.1", "--host", "localhost")
        listen = [f"--{name}-listen=127.0.0.1:0" for name in ("public", "handset", "ops")]
        self.log = open(self.scratch / "server.log", "w")
        self.process = subprocess.Popen(
            [self.program, "server", "serve", "--json", *listen, "--data", self.data],
            stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        bound = json.loads(self.process.stdout.readline())
        self.port = {name: int(bound[name].rsplit(":", 1)[1]) for name in ("public", "handset", "ops")}
        self.authority = self.data / "ca.pem"
        self.certificate, self.key = self.enrol()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()

    def enrol(self):
        """Enrols a handset by plain EST, and returns its certificate and its key."""
        key, request = self.scratch / "handset.key", self.scratch / "handset.csr"
        subprocess.run(
            ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", key, "-subj", "/CN=handset", "-outform", "DER", "-out", request],
            check=True, capture_output=True,
        )
        token = json.loads(self.command("token", "new", "--json"))
        token = first(token, "token")
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port["public"], context=context)
        login = base64.b64encode(f"candour:{token}".encode()).decode()
        connection.request(
            "POST", "/.well-known/est/simpleenroll", base64.b64encode(request.read_bytes()),
            {"content-type": "application/pkcs10", "authorization": f"Basic {login}"},
        )
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        pkcs7 = self.scratch / "handset.p7"
        pkcs7.write_bytes(base64.b64decode(body))
        certificate = self.scratch / "handset.pem"
        chain = subprocess.run(
            ["openssl", "pkcs7", "-inform", "DER", "-in", pkcs7, "-print_certs"],
            check=True, capture_output=True, text=True,
        ).stdout
        certificate.write_text(chain)
        return certificate, key


class Broken:
    """What a gateway must not be: TLS 1.2 as well, tickets, and nobody asked for a certificate."""

    def __init__(self, gateway):
        self.gateway = gateway

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet",
             "-cert", self.gateway.data / "server.pem", "-key", self.gateway.data / "server.pem",
             "-cipher", "ALL:@SECLEVEL=0", "-alpn", "h2,http/1.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.port = {"broken": port}
        self.authority = self.gateway.authority
        self.certificate, self.key = self.gateway.certificate, self.gateway.key
        self.scratch = self.gateway.scratch
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return self
            except ConnectionRefusedError:
                # The scanner needs a listener; there is no event to wait for in another program.
                subprocess.run(["sleep", "0.05"], check=True)
        raise RuntimeError("openssl s_server does not listen")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def first(json_value, name):
    """The first value of that name, wherever it stands."""
    if isinstance(json_value, dict):
        if name in json_value:
            return json_value[name]
        json_value = list(json_value.values())
    if isinstance(json_value, list):
        return next((found for value in json_value if (found := first(value, name))), None)
    return None


def tools():
    """The Python of a virtual environment with the scanners in it."""
    home = TARGET / "tls-scanners"
    python = home / "bin/python"
    if not (home / "bin/sslyze").exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "sslyze", "tlslite-ng"], check=True)
    return python


# What testssl.sh says of each, where it may say it. Everything else that it rates worse than
# "OK" or "INFO" is an objection.
TESTSSL_EXPECTED = {
    "SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered",
    "TLS1_1": "not offered", "TLS1_2": "not offered", "TLS1_3": "offered with final",
    "ALPN": "http/1.1", "heartbleed": "not vulnerable", "CCS": "not vulnerable",
    "ticketbleed": ("not vulnerable", "no session ticket", "not applicable"),
    "ROBOT": "not vulnerable",
    "CRIME_TLS": "not vulnerable", "POODLE_SSL": "not vulnerable", "FREAK": "not vulnerable",
    "DROWN": "not vulnerable", "LOGJAM": "not vulnerable", "BEAST": "not vulnerable", "LUCKY13": "not vulnerable", "RC4": "not vulnerable",
}
# Why it rates these, and why that is as it should be.
TESTSSL_EXCUSED = {
    "optimal_proto": "it has no certificate to show the handset listener",
    "cert_trust": "phones pin the department's own authority",
    "cert_chain_of_trust": "phones pin the department's own authority",
    "cert_caIssuers": "the authority is the department's own",
    "cert_revocation": "the server's certificate lives 90 days and its key is replaced with it",
    "cert_crlDistributionPoints": "see cert_revocation",
    "cert_ocspURL": "see cert_revocation",
    "OCSP_stapling": "see cert_revocation",
    "DNS_CAArecord": "there is no name on loopback",
    "certificate_transparency": "a private authority",
    "cert_notBefore": "48 hours back, for phones whose clock is slow",
}
RATED = {"LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN"}


def testssl(target, name, verdicts):
    out = target.scratch / f"testssl-{name}.json"
    out.unlink(missing_ok=True)
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        sys.exit("testssl.sh is missing (Debian: apt install testssl.sh)")
    subprocess.run(
        [program, "--quiet", "--color", "0", "--warnings", "off", "--ip", "one",
         "--add-ca", target.authority, "-p", "-s", "-f", "-S", "-U", "--jsonfile", out,
         f"127.0.0.1:{target.port[name]}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    findings = {row["id"].split(" ")[0]: row for row in json.loads(out.read_text())}
    note = lambda what, right, found: verdicts.note("testssl", name, what, right, found)
    for what, expected in TESTSSL_EXPECTED.items():
        found = findings.get(what, {}).get("finding", "not looked at")
        note(what, found.startswith(expected), found)
    ticket = findings.get("TLS_session_ticket", {}).get("finding", "not looked at")
    note("session tickets", ticket.startswith("no -- "), ticket)
    for what, row in findings.items():
        if row["severity"] in RATED and what not in TESTSSL_EXPECTED:
            excuse = TESTSSL_EXCUSED.get(what)
            note(what, excuse is not None, f"{row['severity']} {row['finding']} ({excuse})")
    scanned = findings.get("scanTime", {}).get("severity", "none")
    note("the scan came to its end", scanned == "INFO", scanned)


def sslyze(target, name, verdicts):
    out = target.scratch / f"sslyze-{name}.json"
    out.unlink(missing_ok=True)
    ran = subprocess.run(
        [tools().parent / "sslyze", f"--json_out={out}", f"--certinfo_ca_file={target.authority}",
         "--mozilla_config=disable",
         "--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--early_data",
         "--resum", "--compression", "--reneg", "--heartbleed", "--openssl_ccs", "--robot",
         "--elliptic_curves", "--certinfo", f"127.0.0.1:{target.port[name]}"],
        capture_output=True, text=True,
    )
    note = lambda what, right, found: verdicts.note("sslyze", name, what, right, found)
    result = json.loads(out.read_text())["server_scan_results"][0] if out.exists() else None
    if not result or result["scan_status"] != "COMPLETED":
        return note("the scan came to its end", False, ran.stdout + ran.stderr)
    scan = result["scan_result"]
    accepted = lambda part: {
        suite["cipher_suite"]["name"] for suite in scan[part]["result"]["accepted_cipher_suites"]
    }
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"):
        found = accepted(f"{old}_cipher_suites")
        note(f"{old} is refused", not found, sorted(found) or "refused")
    found = accepted("tls_1_3_cipher_suites")
    note("tls_1_3 suites are the closed list", found == SUITES, sorted(found))
    value = lambda part, member: (scan[part]["result"] or {}).get(member, scan[part]["status"])
    for part, member, right in [
        ("tls_1_3_early_data", "supports_early_data", False),
        ("tls_compression", "supports_compression", False),
        ("heartbleed", "is_vulnerable_to_heartbleed", False),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", False),
    ]:
        found = value(part, member)
        if (name, member, found) == ("handset", "supports_early_data", "ERROR"):
            # Without a certificate there is no session on the handset listener to try it with, and
            # sslyze has to say so. Anything else that it could not try is an objection.
            found = f"not tried: {scan[part]['error_reason']}"
            right = "not tried: CLIENT_CERTIFICATE_NEEDED"
        note(member, found == right, found)
    for member in ("session_id_resumption_result", "tls_ticket_resumption_result"):
        found = value("session_resumption", member)
        note(member, found == "SERVER_IS_TLS_1_3_ONLY", found)
    found = value("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos")
    note("renegotiation", found is False, found)
    robot = value("robot", "robot_result")
    note("robot", "NOT_VULNERABLE" in str(robot), robot)
    curves = {curve["name"] for curve in scan["elliptic_curves"]["result"]["supported_curves"]}
    note("groups", curves <= GROUPS, sorted(curves))
    chain = scan["certificate_info"]["result"]["certificate_deployments"][0]
    trusted = any(path["was_validation_successful"] for path in chain["path_validation_results"]
                  if path["trust_store"]["path"] == str(target.authority))
    note("the pinned authority's certificate", trusted, chain["received_certificate_chain"][0]["public_key"])
    # Without a certificate the handset listener must not get as far as HTTP.
    found = json.loads(out.read_text())["server_scan_results"][0]["connectivity_result"]
    asked = found["client_auth_requirement"]
    note("client certificate", asked == ("DISABLED" if name == "public" else "REQUIRED"), asked)


TLSLITE = r'''
import json, socket, sys
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.errors import TLSAlert, TLSRemoteAlert, TLSLocalAlert, TLSAbruptCloseError
def ask(change):
    settings = HandshakeSettings(); settings.minVersion = (3, 4); settings.maxVersion = (3, 4)
    change(settings)
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20); raw.settimeout(20)
    connection = TLSConnection(raw)
    said = {"version": None, "status": "", "tickets": 0, "alert": None, "suite": None}
    try:
        connection.handshakeClientCert(settings=settings, alpn=[b"http/1.1"])
        said["version"], said["suite"] = connection.version, connection.session.cipherSuite
        connection.send(b"GET /log/checkpoint HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        said["status"] = bytes(connection.read(max=12, min=12)).decode()
        said["tickets"] = len(connection.tickets or [])
    except (TLSRemoteAlert, TLSLocalAlert) as alert:
        said["alert"] = alert.description
    except (TLSAlert, TLSAbruptCloseError, OSError, EOFError) as error:
        said["alert"] = type(error).__name__
    finally:
        raw.close()
    return said
def set_(**values):
    def change(settings):
        for name, value in values.items(): setattr(settings, name, value)
    return change
found = {
    "no certificate": ask(set_()),
    "TLS 1.2": ask(set_(minVersion=(3, 3), maxVersion=(3, 3))),
    "TLS 1.0": ask(set_(minVersion=(3, 1), maxVersion=(3, 1))),
    "retry with another group": ask(set_(keyShares=["secp521r1"], eccCurves=["secp521r1", "secp256r1"])),
    "no common group": ask(set_(keyShares=["secp521r1"], eccCurves=["secp521r1"], dhGroups=[])),
    "CCM suites only": ask(set_(cipherNames=["aes128ccm"])),
    "RSA signatures only": ask(set_(ecdsaSigHashes=[], more_sig_schemes=[])),
}
print(json.dumps(found))
'''


def tlslite(target, name, verdicts):
    ran = subprocess.run(
        [tools(), "-c", TLSLITE, str(target.port[name])],
        capture_output=True, text=True,
    )
    note = lambda what, right, found: verdicts.note("tlslite", name, what, right, found)
    if ran.returncode:
        return note("the scan came to its end", False, ran.stderr[-200:])
    found = json.loads(ran.stdout)
    good = lambda said: said["status"].startswith("HTTP/1.1 ") and said["version"] == [3, 4]
    shut = lambda said: said["status"] == "" and said["alert"] is not None
    if name == "handset":
        # With a certificate tlslite-ng 0.8 sends a message that neither rustls nor OpenSSL
        # expects, so on this listener it can only be a stranger.
        note("no certificate", shut(found["no certificate"]), found["no certificate"])
    else:
        for what in ("no certificate", "retry with another group"):
            note(f"{what}: answered", good(found[what]), found[what])
        tickets = found["no certificate"]["tickets"]
        note("no ticket is given out", tickets == 0, tickets)
    for what in ("TLS 1.2", "TLS 1.0", "no common group", "CCM suites only", "RSA signatures only"):
        said = found[what]
        note(f"{what}: refused", shut(said), said)


SCANNERS = {"testssl": testssl, "sslyze": sslyze, "tlslite": tlslite}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=TARGET / "release/candour-tests", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(SCANNERS), help="scanners, separated by commas")
    parser.add_argument("--control", action="store_true", help="judge a broken server as well")
    args = parser.parse_args()
    scanners = args.only.split(",")
    with tempfile.TemporaryDirectory() as scratch, Gateway(args.program, pathlib.Path(scratch)) as gateway:
        verdicts = Verdicts()
        for scanner in scanners:
            for name in ("public", "handset"):
                SCANNERS[scanner](gateway, name, verdicts)
        verdicts.show()
        bad = len(verdicts.objections())
        print(f"{len(verdicts.rows)} findings, {bad} not as expected")
        if args.control:
            with Broken(gateway) as broken:
                control = Verdicts()
                for scanner in scanners:
                    SCANNERS[scanner](broken, "broken", control)
                for scanner in scanners:
                    objections = control.objections(scanner)
                    print(f"control: {scanner} objects to the broken server {len(objections)} times")
                    for _, _, what, _, found in objections:
                        print(f"         {what}: {found[:90]}")
                    bad += not objections
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
