# SPDX-License-Identifier: Apache-2.0
"""Malformed messages in great number: each element of a request, with each anomaly that fits it. In the
spirit of the PROTOS c07-sip suite, made anew from the grammar of RFC 3261 §25.1. The same cases at each
run; each comes with the set of answers that are right.

A case is (name, message, right): `right` holds codes as text and perhaps "none" (nothing can be answered)."""
import re

DOMAIN = b"strowger.test"
URI_MAX, HEADER_MAX = 2048, 8192

# ---- anomalies -------------------------------------------------------------------------

LENGTHS = (1, 16, 128, 255, 256, 257, 1024, 2048, 4096, 8192, 32768, 60000)
OVERFLOW = [b"a" * n for n in LENGTHS]
FORMAT = [b"%s", b"%n", b"%x", b"%s" * 20, b"%n" * 64, b"%08x." * 40, b"%99999999s", b"%1$n", b"%.2049d",
          b"%s%n" * 500]
BYTES = [b"", b" ", b"\t", b"\r\n ", b"a\r\n\t b", b"\r", b"\n", b"a\rb", b"a\nb", b"\0", b"a\0b", b"a\0",
         b"\x01", b"a\x08b", b"\x1b[31m", b"\x7f", b"\xff", b"\xfe\xff", b"\xc0\x80", b"\xed\xa0\x80",
         b"\xf8\x88\x80\x80\x80", b"\xc3\xbc", b"\xe2\x80\xaeb", b"\xef\xbb\xbfa", b"\xf0\x9f\x98\x80"]
SEPARATORS = [sign * n for sign in (b"<", b">", b"@", b",", b";", b":", b"\\", b'"', b"/", b"[", b"]", b"?",
                                    b"=", b"{", b"}", b"|", b"^", b"&", b"#", b"(") for n in (1, 257)]
NUMBERS = [b"-1", b"0", b"00005", b"+5", b"5 5", b"5.5", b"1e5", b"0x10", b"5;", b"5,5", b"255", b"256",
           b"257", b"65535", b"65536", b"2147483646", b"2147483647", b"2147483648", b"4294967295",
           b"4294967296", b"4294967328", b"9223372036854775807", b"9223372036854775808",
           b"18446744073709551615", b"18446744073709551616", b"18446744073709551648", b"9" * 100,
           b"0" * 200 + b"5", b"\xd9\xa5"]
IPV4 = [b"0.0.0.0", b"255.255.255.255", b"256.0.0.1", b"1.2.3", b"1.2.3.4.5", b"1.2.3.4.", b".1.2.3.4",
        b"1..2.3", b"01.02.03.04", b"0x7f.1.1.1", b"127.1", b"999999999999.1.1.1", b"-1.2.3.4", b"1.2.3.a",
        b"1.2.3.4\0", b"127.0.0.1%00"]
IPV6 = [b"[::]", b"[::1]", b"[:::]", b"[::1", b"::1]", b"::1", b"[1:2:3:4:5:6:7:8]", b"[1:2:3:4:5:6:7:8:9]",
        b"[::ffff:1.2.3.4]", b"[::256.1.1.1]", b"[fe80::1%25eth0]", b"[g::]", b"[12345::]", b"[]", b"[",
        b"[1::2::3]", b"[::1]]", b"[" + b"0:" * 200 + b"0]"]
ESCAPES = [b"%", b"%2", b"%zz", b"%00", b"%0d%0a", b"%25", b"%41", b"%%41", b"%u0041", b"%c0%80", b"a%",
           b"%00" * 100, b"\\", b'"', b'"a', b'a"', b'"\\', b'"\\"', b'"\\\\"', b'"a" b', b'"\0"', b"'"]
TEXT = OVERFLOW + FORMAT + BYTES + SEPARATORS
WIDE = TEXT + NUMBERS + ESCAPES
HOSTS = TEXT + IPV4 + IPV6 + NUMBERS

# ---- what is right, RFC 3261 §25.1 -------------------------------------------------------

TOKEN = rb"[A-Za-z0-9.!%*_+`'~-]+"
WORD = rb"[A-Za-z0-9.!%*_+`'~()<>:\\\"/\[\]?{}-]+"
ESCAPED = rb"%[0-9A-Fa-f]{2}"
USER = rb"(?:[A-Za-z0-9_.!~*'()&=+$,;?/-]|" + ESCAPED + rb")+"
LABEL = rb"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
NAME = rb"(?:" + LABEL + rb"\.)*(?:[A-Za-z]|[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9])\.?"
OCTET = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
ADDRESS = rb"(?:" + OCTET + rb"\.){3}" + OCTET
ADDRESS6 = rb"\[(?:::|::1|1:2:3:4:5:6:7:8|::ffff:1\.2\.3\.4)\]"
HOST = rb"(?:" + NAME + rb"|" + ADDRESS + rb"|" + ADDRESS6 + rb")"
PVALUE = rb"(?:[A-Za-z0-9_.!~*'()\[\]/:&+$-]|" + ESCAPED + rb")+"
QUOTED = rb"\"(?:[^\"\\\x00-\x08\x0a-\x1f\x7f-\xff]|[\xc0-\xf7][\x80-\xbf]+|\\[\x00-\x09\x0b\x0c\x0e-\x7f])*\""
LWS = rb"(?:[ \t]*\r\n[ \t]+|[ \t]+)"
GENERIC = rb"(?:" + TOKEN + rb"|" + HOST + rb"|" + QUOTED + rb")"
PORT = rb"0*\d{1,5}"


def small(top):
    """A number that a correct element reads, with leading zeros, up to `top`."""
    return lambda value: re.fullmatch(rb"\d+", value) is not None and int(value) <= top


def full(pattern):
    return lambda value: re.fullmatch(pattern, value) is not None


LOOSE_VALUE = full(rb"[^\x00-\x20\x7f]+|.*[;,\"].*")  # of a parameter: lib/message/lexer.c


class Element:
    """A place in a request. `good`: the grammar allows the value; then the answer is of `right`. Else it
    is of `wrong`. Where the RFC leaves a choice (`loose`), either."""

    def __init__(self, name, make, good, right, wrong=("400",), values=WIDE, loose=None, method="OPTIONS"):
        self.name, self.make, self.good, self.right, self.wrong = name, make, good, right, wrong
        self.values, self.loose, self.method = values, loose, method


def trimmed(value):
    """Folding and white space round a value do not belong to it, RFC 3261 §7.3.1."""
    return re.sub(rb"\r\n[ \t]+", b" ", value).strip(b" \t")


def parts(host, mark, method=b"OPTIONS"):
    return {"method": method, "uri": b"sip:" + DOMAIN, "version": b"SIP/2.0",
            "via": b"SIP/2.0/UDP %s;rport;branch=z9hG4bK%s" % (host, mark), "more_via": b"",
            "from": b"<sip:probe@example.invalid>;tag=%s" % mark, "to": None, "call_id": mark,
            "cseq": b"1 " + method, "max_forwards": b"70", "extra": b"", "length": None, "body": b""}


def render(part):
    to = b"<%s>" % part["uri"] if part["to"] is None else part["to"]
    length = b"%d" % len(part["body"]) if part["length"] is None else part["length"]
    return (b"%s %s %s\r\nVia: %s\r\n%sMax-Forwards: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
            b"%sContent-Length: %s\r\n\r\n%s" % (
                part["method"], part["uri"], part["version"], part["via"], part["more_via"],
                part["max_forwards"], part["from"], to, part["call_id"], part["cseq"], part["extra"], length,
                part["body"]))


def put(key, form=b"%s", also=()):
    """An element that is `form` with the value, in one part (and the same text in others)."""
    def make(part, value):
        part[key] = form.replace(b"%s", value, 1)
        for other, other_form in also:
            part[other] = other_form.replace(b"%s", value, 1)
    return make


def put_via(form):
    def make(part, value):
        host = part["via"].split(b" ", 1)[1].split(b";")[0]
        mark = part["call_id"]
        part["via"] = form.replace(b"HOST", host).replace(b"MARK", mark).replace(b"%s", value, 1)
    return make


def field(name):
    return put("extra", name + b": %s\r\n")


NO_WAY_BACK = ("400", "none")
KEPT_OR_NOT = ("200", "400")
TO_US = b"<sip:strowger.test>"


def start_line():
    yield Element("method", put("method", also=[("cseq", b"1 %s")]), full(TOKEN), ("501",),
                  ("400", "none"))
    yield Element("version", put("version"), lambda value: value.upper() == b"SIP/2.0", ("200",),
                  ("400", "505", "none"), [b"SIP/" + v for v in NUMBERS] + [v + b"/2.0" for v in WIDE] +
                  [b"SIP/2." + v for v in NUMBERS] + [b"sip/2.0", b"SIP/1.0", b"SIP/3.0", b"SIP//2.0"])
    yield Element("Request-URI", put("uri", also=[("to", TO_US)]), full(rb"(?!)"), ("200",),
                  ("400", "414", "416"))
    yield Element("Request-URI scheme", put("uri", b"%s:" + DOMAIN, [("to", TO_US)]),
                  full(rb"[A-Za-z][A-Za-z0-9+.-]*"), ("416",), ("400", "414"),
                  TEXT + ESCAPES, loose=full(rb"tel"))
    yield Element("Request-URI user", put("uri", b"sip:%s@" + DOMAIN, [("to", TO_US)]), full(USER), ("404",),
                  ("400", "414"), loose=full(rb".*[:@#\[\]].*"))
    yield Element("Request-URI host", put("uri", b"sip:%s", [("to", TO_US)]), full(HOST), ("403",),
                  ("400", "414"), HOSTS, loose=full(rb".*[;:?_@-].*|[0-9.a-fx%]+|.*\.|\[.*\]"))
    yield Element("Request-URI port", put("uri", b"sip:strowger.test:%s", [("to", TO_US)]), full(PORT),
                  ("200", "403"), ("400", "414"), loose=full(rb"\d*|.*[;?@].*"))
    yield Element("Request-URI parameter", put("uri", b"sip:strowger.test;%s", [("to", TO_US)]),
                  full(PVALUE), ("200",), ("400", "414"), loose=full(rb"|.*[;?=].*"))
    yield Element("Request-URI headers", put("uri", b"sip:strowger.test?%s=1", [("to", TO_US)]),
                  full(rb"(?!)"), (), ("400", "414"), TEXT)


def via():
    yield Element("Via", put("via"), full(rb"(?!)"), (), NO_WAY_BACK)
    yield Element("Via protocol", put_via(b"%s/2.0/UDP HOST;rport;branch=z9hG4bKMARK"), full(TOKEN),
                  ("200", "400", "none"), NO_WAY_BACK, TEXT)
    yield Element("Via transport", put_via(b"SIP/2.0/%s HOST;rport;branch=z9hG4bKMARK"), full(TOKEN),
                  ("200", "none"), NO_WAY_BACK, TEXT)
    yield Element("Via host", put_via(b"SIP/2.0/UDP %s:5060;rport;branch=z9hG4bKMARK"), full(HOST),
                  ("200",), NO_WAY_BACK, HOSTS, loose=full(rb".*[;,:_ -].*|[0-9.a-fx]+|.*\.|\[.*\]"))
    yield Element("Via port", put_via(b"SIP/2.0/UDP 127.0.0.1:%s;rport;branch=z9hG4bKMARK"), full(PORT),
                  ("200", "400", "none"), NO_WAY_BACK, loose=full(rb".*[;, ].*"))
    yield Element("Via branch", put_via(b"SIP/2.0/UDP HOST;rport;branch=%s"), full(TOKEN), ("200",), ("400",),
                  loose=LOOSE_VALUE)
    yield Element("Via branch behind the cookie", put_via(b"SIP/2.0/UDP HOST;rport;branch=z9hG4bK%s"),
                  full(TOKEN), ("200",), ("400",), TEXT, loose=LOOSE_VALUE)
    yield Element("Via parameter", put_via(b"SIP/2.0/UDP HOST;rport;branch=z9hG4bKMARK;x=%s"), full(GENERIC),
                  ("200",), ("400",), loose=LOOSE_VALUE)
    for name in (b"received", b"maddr"):
        yield Element(f"Via {name.decode()}",
                      put_via(b"SIP/2.0/UDP HOST;rport;branch=z9hG4bKMARK;%s=" % name + b"%s"), full(HOST),
                      ("200", "none"), NO_WAY_BACK, IPV4 + IPV6 + BYTES + FORMAT + OVERFLOW,
                      loose=full(rb".*"))
    for name in (b"ttl", b"rport"):
        yield Element(f"Via {name.decode()}",
                      put_via(b"SIP/2.0/UDP HOST;branch=z9hG4bKMARK;%s=" % name + b"%s"),
                      full(rb"\d{1,3}"), ("200", "400", "none"), NO_WAY_BACK, NUMBERS + BYTES,
                      loose=LOOSE_VALUE)
    yield Element("second Via", put("more_via", b"Via: %s\r\n"), full(rb"(?!)"), (), KEPT_OR_NOT, TEXT)


def addresses():
    """From and To. Bytes above ASCII in a display name, and more than the grammar in the value of a parameter,
    are taken: both are common, and neither says who is meant (lib/message/lexer.c)."""
    for key, name, tag, right in (("from", "From", b";tag=1", ("200",)), ("to", "To", b"", ("200",))):
        address = b"<sip:a@example.invalid>"
        yield Element(name, put(key), full(rb"(?!)"), (), ("400",), loose=full(TOKEN + rb":.*"))
        yield Element(f"{name} display name", put(key, b"%s " + address + tag),
                      full(rb"(?:" + TOKEN + LWS + rb"?)*|" + QUOTED), right, ("400",),
                      loose=full(rb"[a\x80-\xff]+b?"))
        yield Element(f"{name} quoted display name", put(key, b'"%s" ' + address + tag),
                      lambda value: full(QUOTED)(b'"' + value + b'"'), right, ("400",),
                      loose=full(rb'.*["\\].*|.*[\x01-\x1f\x7f-\xff].*'))
        yield Element(f"{name} user", put(key, b"<sip:%s@example.invalid>" + tag), full(USER), right,
                      ("400",), loose=full(rb".*[:@#\[\]>].*"))
        yield Element(f"{name} host", put(key, b"<sip:a@%s>" + tag), full(HOST), right, ("400",),
                      IPV4 + IPV6 + BYTES + FORMAT, loose=full(rb".*[;:?_>@-].*|[0-9.a-fx%]+|.*\.|\[.*\]"))
        yield Element(f"{name} parameter", put(key, address + tag + b";x=%s"), full(GENERIC), right,
                      ("400",), TEXT, loose=LOOSE_VALUE)
    yield Element("From tag", put("from", b"<sip:a@example.invalid>;tag=%s"), full(TOKEN), ("200",), ("400",),
                  loose=LOOSE_VALUE)
    # No dialog of ours has this tag (§12.2.2).
    yield Element("To tag", put("to", b"<sip:a@example.invalid>;tag=%s"), full(TOKEN), ("481",), ("400",),
                  loose=LOOSE_VALUE)


def scalars():
    yield Element("Call-ID", put("call_id"), full(WORD + rb"(?:@" + WORD + rb")?"), ("200",), ("400",))
    yield Element("CSeq number", put("cseq", b"%s OPTIONS"), small(2**31 - 1), ("200",), ("400",),
                  NUMBERS + TEXT)
    yield Element("CSeq method", put("cseq", b"1 %s"), full(rb"OPTIONS"), ("200",), ("400",), TEXT)
    yield Element("Max-Forwards", put("max_forwards"), full(rb"\d+"), ("200",), ("400",), NUMBERS + TEXT)
    yield Element("Content-Length", put("length"), full(rb"0+"), ("200",), ("400", "413"), NUMBERS + TEXT)
    yield Element("Content-Type", lambda part, value: part.update(
        body=b"hello", extra=b"Content-Type: %s\r\n" % value), full(rb"(?!)"), (), ("200", "400", "415"), TEXT)
    yield Element("Require", field(b"Require"), full(TOKEN), ("420",), ("200", "400", "420"), TEXT)
    yield Element("Route", field(b"Route"), full(rb",*"), ("200",), ("400", "403"), WIDE)
    yield Element("Route host", field(b"Route: <sip:127.0.0.1;lr>, <sip:strowger.test;lr>\r\nX"),
                  lambda value: True, ("200", "400", "403"), ("400",), TEXT)
    for name in (b"Contact", b"Expires", b"Record-Route", b"Date", b"Supported", b"Accept", b"Subject",
                 b"Warning", b"Min-Expires", b"Alert-Info", b"User-Agent", b"X-Unknown"):
        yield Element(name.decode(), field(name), lambda value: True, KEPT_OR_NOT, KEPT_OR_NOT,
                      FORMAT + BYTES + OVERFLOW[::3] + NUMBERS[::3] + SEPARATORS[::3])
    yield Element("name of a header field", put("extra", b"%s: x\r\n"), full(TOKEN), ("200",), ("400",), WIDE,
                  loose=full(rb".*[: \t\r\n].*"))
    yield Element("end of a line", put("extra", b"Subject: x%s"), full(rb"(?:\r\n)+"), ("200",),
                  ("200", "400", "none"),
                  [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\r", b"\0\r\n", b"\r\n\0", b" \r\n", b"\r\n "])


def registrations():
    """A REGISTER of alice without a password: the server of the test asks for none."""
    answers = ("200", "400", "403", "413", "423")
    for name, form in ((b"Contact", b"Contact: %s\r\n"),
                       (b"Contact user", b"Contact: <sip:%s@127.0.0.1:9>\r\n"),
                       (b"Contact host", b"Contact: <sip:a@%s>\r\n"),
                       (b"Contact q", b"Contact: <sip:a@127.0.0.1:9>;q=%s\r\n"),
                       (b"Contact expires", b"Contact: <sip:a@127.0.0.1:9>;expires=%s\r\n"),
                       (b"Path", b"Supported: path\r\nPath: %s\r\nContact: <sip:a@127.0.0.1:9>\r\n")):
        yield Element(f"REGISTER {name.decode()}", put("extra", form), lambda value: True, answers, answers,
                      (TEXT[::2] + NUMBERS + ESCAPES + IPV4[::3] + IPV6[::3]), method="REGISTER")


def credentials():
    """A REGISTER with a broken Authorization; its server asks for a password."""
    whole = (b'Digest username="alice", realm="strowger.test", nonce="1", uri="sip:strowger.test", '
             b'response="00000000000000000000000000000000", algorithm=MD5, cnonce="1", qop=auth, nc=00000001')
    values = FORMAT + BYTES + OVERFLOW[::2] + SEPARATORS[::3] + ESCAPES[-11:]
    answers = ("400", "401")
    yield Element("Authorization", put("extra", b"Authorization: %s\r\n"), lambda value: True, answers,
                  answers, values, method="REGISTER-closed")
    for name in (b"username", b"realm", b"nonce", b"uri", b"response", b"cnonce", b"algorithm", b"qop", b"nc"):
        form = re.sub(name + rb"=(\"?)[^\",]*", lambda match: name + b"=" + match[1] + b"%s", whole, count=1)
        yield Element(f"Authorization {name.decode()}", put("extra", b"Authorization: " + form + b"\r\n"),
                      lambda value: True, answers, answers, values, method="REGISTER-closed")


def elements():
    for group in (start_line, via, addresses, scalars, registrations, credentials):
        yield from group()


def too_long(part, message):
    """Which limits a message exceeds: each has its own answer."""
    right = set()
    if len(part["uri"]) > URI_MAX:
        right |= {"414"}
    head = message.split(b"\r\n\r\n", 1)[0]
    if any(len(line) > HEADER_MAX for line in re.split(rb"\r\n(?![ \t])", head)):
        right |= {"513"}
    return right


def expected(element, part, value, message):
    good = element.good(trimmed(value))
    loose = element.loose and re.match(rb".", value, re.S) and element.loose(trimmed(value))
    right = set(element.right if good else element.wrong)
    if loose:
        right |= set(element.right) | set(element.wrong)
    # A line end or NUL within a value makes another message of it.
    if re.search(rb"[\r\n\0]", value):
        right |= set(element.wrong) | (set(element.right) | {"415"} if b"\r\n" in value else set())
    limits = too_long(part, message)
    if limits:
        right = limits | ({"none"} & set(element.wrong)) | ({"400"} & set(element.wrong))
    return right


def cases(kind, host, unique):
    """All cases for one kind of server: "open" asks nobody for a password, "closed" does. `unique` keeps
    transactions apart."""
    number = 0
    for element in elements():
        for value in element.values:
            number += 1
            if (kind == "closed") != element.method.endswith("-closed"):
                continue
            method = element.method.split("-")[0].encode()
            part = parts(host, b"%s%d" % (unique, number), method)
            if method == b"REGISTER":
                part["to"] = b"<sip:alice@%s>" % DOMAIN
            element.make(part, value)
            message = render(part)
            if len(message) > 65507:
                continue
            shown = repr(value[:24])[1:] + (f" ({len(value)} bytes)" if len(value) > 24 else "")
            yield f"{element.name} = {shown}", message, expected(element, part, value, message)


if __name__ == "__main__":
    print(sum(1 for kind in ("open", "closed") for _ in cases(kind, b"127.0.0.1:5060", b"c")))
