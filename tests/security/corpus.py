"""Labelled lines: secrets and personal data in the forms in which logs hold them, and lines that hold none; all made up."""

import base64
import hashlib
import random
import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

LETTERS = string.ascii_letters + string.digits


class Labelled(NamedTuple):
    """A line, the text that must not be left of it, its kind, and its form."""

    line: str
    planted: str
    kind: str
    form: str


def some(chance, alphabet, length):
    return "".join(chance.choices(alphabet, k=length))


def with_check_digit(digits):
    doubled = [sum(divmod(2 * int(each), 10)) for each in digits[::-2]]
    return digits + str(-(sum(doubled) + sum(int(each) for each in digits[-2::-2])) % 10)


def account(chance):
    country, length = chance.choice([("DE", 18), ("GB", 18), ("FR", 23), ("CH", 17), ("NL", 14), ("ES", 20)])
    inner = some(chance, string.digits, length)
    number = int("".join(str(int(each, 36)) for each in inner + country + "00"))
    return f"{country}{98 - number % 97:02d}{inner}"


#: Forms in which something named is given a value; {n} is the name, {v} the value.
NAMED_FORMS = {
    "key=value": "user=ann {n}={v} host=db1",
    "key: value": "settings {n}: {v}",
    "json": '{{"user": "ann", "{n}": "{v}", "ok": true}}',
    "compact json": '{{"{n}":"{v}","ok":true}}',
    "json in json": '{{"message": "{{\\"{n}\\":\\"{v}\\"}}"}}',
    "logfmt": 'level=info msg="started" {n}="{v}" took=3ms',
    "dict": "{{'user': 'ann', '{n}': '{v}'}}",
    "ruby": 'Parameters: {{"user"=>"ann", "{n}"=>"{v}"}}',
    "toString": "Settings{{user='ann', {n}='{v}', port=5432}}",
    "url": "GET /login?user=ann&{n}={v}&next=%2F HTTP/1.1 200",
    "form": "body: user=ann&{n}={v}",
    "header": "> X-{n}: {v}",
    "environment": "export APP_{n}={v}",
    "yaml": "  {n}: '{v}'",
    "yaml list": "- name: APP_{n}\n  value: {v}",
    "json list": '{{"name": "APP_{n}", "value": "{v}"}}',
    "xml": "<user>ann</user><{n}>{v}</{n}>",
    "xml attribute": '<connection user="ann" {n}="{v}"/>',
    "command line": "exec: tool --{n} {v} --verbose",
    "command line =": "exec: tool --{n}={v} --verbose",
    "connection string": "Server=db1;User=ann;{n}={v};Timeout=5",
    "stack trace": "java.lang.IllegalStateException: cannot connect, {n}={v}\n\tat com.example.Db.open(Db.java:42)",
    "go struct": "config {{User:ann {n}:{v}}}",
    "assignment": "{n} := {v}",
    "cut off": '{{"user": "ann", "{n}": "{v}',
}
NAMES = (
    *(
        "password",
        "passwd",
        "Password",
        "DB_PASSWORD",
        "newPassword",
        "secret",
        "client_secret",
        "clientSecret",
        "SECRET_KEY",
        "token",
    ),
    *(
        "access_token",
        "refreshToken",
        "api_key",
        "apiKey",
        "api-key",
        "access_key",
        "private_key",
        "auth_key",
        "AccountKey",
        "passphrase",
    ),
    *("credentials", "session_id", "SessionId", "signature", "encryption_key", "pwd", "smtp_pass"),
)
#: Forms of text around something that is known by its own form.
PLAIN_FORMS = {
    "prose": "could not use {v} for this",
    "bracketed": "[worker-3] got ({v}) from upstream",
    "key=value": "id=7 value={v} ok",
    "json": '{{"id": 7, "value": "{v}"}}',
    "csv": "7,{v},ok",
    "xml": "<value>{v}</value>",
    "sql": "INSERT INTO t (a, b) VALUES (7, '{v}')",
    "trace": "ValueError: {v}\n  at app.py:42",
    "end": "rejected: {v}.",
}


def values(chance):
    """Kind -> something of that kind and the part that must be gone."""
    digits = string.digits
    visa = with_check_digit("4" + some(chance, digits, 14))
    amex = with_check_digit("37" + some(chance, digits, 12))
    master = with_check_digit("5" + chance.choice("12345") + some(chance, digits, 13))
    parts = [base64.urlsafe_b64encode(some(chance, LETTERS, 24).encode()).decode().rstrip("=") for _ in range(2)]
    iban = account(chance)
    name = chance.choice(["ann", "bob.lee", "j_smith", "o'neil", "müller"]) + some(chance, digits, 3)
    address = f"{name}@{chance.choice(['example.org', 'mail.example.co.uk', 'example.ch'])}"
    inner = some(chance, LETTERS, 40)
    return {
        "visa": (visa, visa),
        "visa in fours": (" ".join(visa[i : i + 4] for i in range(0, 16, 4)), visa[4:8]),
        "mastercard": ("-".join(master[i : i + 4] for i in range(0, 16, 4)), master[4:8]),
        "amex": (amex, amex),
        "iban": (iban, iban),
        "iban in fours": (" ".join(iban[i : i + 4] for i in range(0, len(iban), 4)), iban[4:8]),
        "ssn": (f"{chance.randint(100, 599)}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}", "-"),
        "email": (address, name),
        "email in a url": (address.replace("@", "%40"), name),
        "jwt": (f"eyJhbGciOiJIUzI1NiJ9.eyJ{parts[0]}.{parts[1]}", parts[0]),
        "aws": ("AKIA" + some(chance, string.ascii_uppercase + digits, 16), "AKIA"),
        "github": (f"ghp_{inner[:36]}", inner[:36]),
        "gitlab": (f"glpat-{inner[:20]}", inner[:20]),
        "slack": (f"xoxb-{some(chance, digits, 12)}-{inner[:24]}", inner[:24]),
        "stripe": (f"sk_live_{inner[:24]}", inner[:24]),
        "google": (f"AIza{inner[:35]}", inner[:35]),
        "npm": (f"npm_{inner[:36]}", inner[:36]),
        "credentials in a url": (f"postgres://app:{inner[:16]}@db1:5432/orders", inner[:16]),
        "private key": (f"-----BEGIN RSA PRIVATE KEY-----\n{inner}\n-----END RSA PRIVATE KEY-----", inner),
    }


#: Headers and commands with a form of their own.
OWN_FORMS = {
    "bearer": "Authorization: Bearer {v}",
    "bearer in json": '{{"headers": {{"authorization": "Bearer {v}"}}}}',
    "basic": "> authorization: Basic {v}==",
    "proxy": "Proxy-Authorization: Basic {v}",
    "opaque": "Authorization: {v}",
    "scheme alone": "sent bearer {v}",
    "cookie": "Cookie: theme=dark; sid={v}",
    "set-cookie": "Set-Cookie: sid={v}; Path=/; HttpOnly",
    "cookie in json": '{{"cookie": "sid={v}; theme=dark"}}',
    "identified by": "CREATE USER ann IDENTIFIED BY '{v}'",
    "alter role": "ALTER ROLE ann WITH PASSWORD '{v}'",
    "curl": "curl -u ann:{v} https://example.org/",
    "signed url": "GET /bucket/x?X-Amz-Signature={v}&X-Amz-Expires=60",
    "shared access": "https://example.org/c/b?sv=2022&sig={v}",
    "hook": "POST https://hooks.slack.com/services/T0AB/B0CD/{v}",
    "vault": "X-Vault-Token: hvs.{v}",
}


def labelled(seed=1):
    """More than a thousand labelled lines."""
    chance = random.Random(seed)
    found = []
    for name in NAMES:
        for form, text in NAMED_FORMS.items():
            value = chance.choice("ghjkmnpqr") + some(chance, LETTERS + "!+.*-_", chance.randint(7, 30)) + "Z9"
            found.append(Labelled(text.format(n=name, v=value), value, f"named {name}", form))
    for _ in range(3):
        for form, text in PLAIN_FORMS.items():
            for kind, (value, planted) in values(chance).items():
                gone = value if planted == "-" else planted
                found.append(Labelled(text.format(v=value), gone, kind, form))
        for form, text in OWN_FORMS.items():
            value = some(chance, LETTERS, 32)
            found.append(Labelled(text.format(v=value), value, "own", form))
    return found


#: Lines that look as if they held something.
CLEAN_FORMS = (
    "password changed for user {word}",
    "Failed password for invalid user {word} from {ip} port {port} ssh2",
    "Accepted publickey for {word} from {ip} port {port} ssh2: RSA SHA256:{b64}",
    "java.lang.IllegalStateException: token expired",
    "{time} WARN auth: token expired after {n} s, asking for another",
    "error: key not found: {word}",
    "unexpected token at position {n}",
    "secret {word} mounted at /run/secrets/{word}",
    "prompt_tokens={n} completion_tokens={n} total_tokens={n}",
    "password=null token=none secret=****",
    "PWD=/home/{word}/app",
    "build passed: pass=12 fail=0",
    "basic authentication enabled for realm {word}",
    "081109 203615 148 INFO dfs.DataNode: Received block blk_{big} of size {n} from /{ip}",
    "blk_-{big} replicated to {ip}:{port}",
    "request {uuid} took {f} ms",
    "commit {sha1} by {word}, tree {sha256}",
    "image registry.example.org/{word}@sha256:{sha256} pulled",
    "{time} {word}[{port}]: connection from {ip}:{port} closed after {n} bytes",
    "epoch {ms} lag {n} offset {big}",
    "value {float16} of series {big}",
    "version 1.{n}.3-rc.2+build.{n} of {word} released on 2026-11-24",
    "GET /api/v1/items/{n}?page=2&sort=name HTTP/1.1 200 {n}",
    "systemd[1]: Started user@{n}.service - User Manager for UID {n}.",
    "systemd[1]: Starting getty@tty1.service",
    "PrepRequestProcessor@{n} - Got user-level KeeperException",
    "java.lang.Object@{hex8}: cannot be cast",
    "at com.example.{word}.Handler$1.run(Handler.java:{n})",
    "sort key: name, primary key: id, foreign key: user_id",
    "session {uuid} opened by {word}",
    "MAC {mac} seen on port {n}",
    "[{time}] kernel: [{n}.{n}] eth0: link up, 1000Mbps",
    "order 4{digits13} shipped; tracking {uuid}",
    "phone book synced, {n} contacts",
    "cookie not set; author: {word}",
    "bootp: request from {mac}",
    "https://example.org:8443/a/b?x={n}#top",
    "git clone ssh://example.org/{word}.git",
)


def clean(count=10_000, seed=2):
    """`count` lines in which nothing is to be found."""
    chance = random.Random(seed)
    start = datetime(2026, 11, 24, tzinfo=UTC)
    lines = []
    for index in range(count):
        number = chance.randint(100, 99_999)
        digest = hashlib.sha256(str(index).encode()).hexdigest()
        parts = {
            "word": chance.choice(["ann", "orders", "pay-api", "web_1", "Kernel"]),
            "n": number,
            "ip": ".".join(str(chance.randint(1, 254)) for _ in range(4)),
            "port": chance.randint(1024, 65535),
            "b64": base64.b64encode(digest[:32].encode()).decode().rstrip("="),
            "time": (start + timedelta(seconds=index)).isoformat(),
            "big": chance.randint(10**15, 10**19 - 1),
            "uuid": uuid.UUID(int=chance.getrandbits(128), version=4),
            "f": round(chance.random() * 100, 3),
            "sha1": digest[:40],
            "sha256": digest,
            "ms": 1_700_000_000_000 + chance.randint(0, 10**11),
            "float16": f"{chance.random():.16f}",
            "hex8": digest[:8],
            "mac": ":".join(digest[i : i + 2] for i in range(0, 12, 2)),
            "digits13": some(chance, string.digits, 13),
        }
        lines.append(CLEAN_FORMS[index % len(CLEAN_FORMS)].format(**parts))
    return lines
