#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients of `tandem serve`: serve.py load PORT FILE re-enacts what `vllm bench serve` does (open-loop arrivals, one
streamed completion each, TTFT by the first chunk with text, ITL by the others, output tokens by the usage) and writes
what it has measured; serve.py hostile PORT sends what no client should, and asks after each whether the server lives."""
import http.client, json, random, socket, sys, threading, time


def stream(port, path, body, out):
    """One request; chunks of the answer as server-sent events."""
    start = time.monotonic()
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = c.getresponse()
    out.update(status=answer.status, times=[], text="", done=False)
    if answer.status != 200:
        out["error"] = json.loads(answer.read())["error"]["message"]
        return
    for line in answer:
        line = line.strip()
        if line == b"data: [DONE]":
            out["done"] = True
        elif line.startswith(b"data: "):
            event = json.loads(line[6:])
            for choice in event["choices"]:
                text = choice["text"] if "text" in choice else choice["delta"].get("content", "")
                out["text"] += text
                out["times"].append(time.monotonic() - start)
            if event.get("usage"):
                out["usage"], out["own"] = event["usage"], event["tandem"]
    c.close()


def load(port, file, count, rate):
    draw = random.Random(7)
    system = "You are a helpful assistant who answers in short sentences. " * 8
    threads, found, at = [], [], time.monotonic()
    for i in range(count):
        out = {}
        body = {"model": "llama-3.1-8b", "max_tokens": draw.randint(1, 40), "temperature": 0.0, "ignore_eos": True,
                "stream": True, "stream_options": {"include_usage": True}}
        prompt = system * draw.randint(0, 2) + "x" * draw.randint(4, 4000)
        if i % 3 == 2:
            body["prompt"], path = [draw.randint(0, 50000) for _ in range(draw.randint(1, 900))], "/v1/completions"
        elif i % 3 == 1:
            body["messages"], path = [{"role": "user", "content": prompt}], "/v1/chat/completions"
        else:
            body["prompt"], path = prompt, "/v1/completions"
        out["asked"] = body["max_tokens"]
        out["prompt"] = len(body["prompt"]) if i % 3 == 2 else (len(prompt) + 3) // 4
        found.append(out)
        threads.append(threading.Thread(target=stream, args=(port, path, body, out)))
        threads[-1].start()
        at += draw.expovariate(rate)
        time.sleep(max(0.0, at - time.monotonic()))
    for t in threads:
        t.join()
    with open(file, "w") as f:
        json.dump(found, f)


def raw(port, text, wait=5.0):
    """Sends bytes; what comes back until the server closes, or `wait` has passed."""
    s = socket.create_connection(("127.0.0.1", port), timeout=wait)
    got = b""
    try:
        s.sendall(text)
        while piece := s.recv(65536):
            got += piece
            head, _, rest = got.partition(b"\r\n\r\n")
            length = [int(l.split(b":")[1]) for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")]
            if length and len(rest) >= length[0]:
                break
    except (socket.timeout, ConnectionError, BrokenPipeError):
        pass
    s.close()
    return got


def status(answer):
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else None


def post(body, path="/v1/completions", host="127.0.0.1", length=None):
    body = body.encode() if isinstance(body, str) else body
    return (f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body


def hostile(port):
    ok = '{"prompt":"a","max_tokens":1}'
    cases = [
        (post(ok), 200), (post(ok, host="localhost:1"), 200), (post(ok, host="evil.example"), 403),
        (post(ok, host="127.0.0.1.evil.example"), 403), (post(""), 400), (post("{"), 400), (post("[]"), 400),
        (post("[" * 100000), 400), (post('{"prompt":"\xff"}'.encode("latin-1")), 400), (post(b'{"prompt":"a\0b"}'), 400),
        (post('{"prompt":"a","prompt":"b"}'), 400), (post('{"prompt":""}'), 400), (post('{"prompt":[]}'), 400),
        (post('{"prompt":["a","b"]}'), 400), (post('{"prompt":[-1]}'), 400), (post('{"prompt":[1e300]}'), 400),
        (post('{"prompt":"a","max_tokens":0}'), 400), (post('{"prompt":"a","max_tokens":1e9}'), 400),
        (post('{"prompt":"a","max_tokens":131072}'), 400), (post('{"prompt":"a","n":2}'), 400),
        (post('{"prompt":"a","stream":"yes"}'), 400), (post('{"prompt":"a","model":"gpt"}'), 404),
        (post('{"messages":[]}', "/v1/chat/completions"), 400), (post('{"messages":[1]}', "/v1/chat/completions"), 400),
        (post('{"messages":[{"content":[{"type":"image_url"}]}]}', "/v1/chat/completions"), 400),
        (post(ok, "/v1/embeddings"), 404), (post(ok, "/../../etc/passwd"), 404), (post(ok, "/health"), 405),
        (b"GET /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
        (b"DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
        (post("x" * (9 << 20)), 413),
        (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (None, 400, 413, 414, 431)),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n", (None, 400, 413, 431)),
        (b"\x16\x03\x01\x02\x00\x01\x00" + bytes(range(256)), (None, 400)), (b"\r\n" * 1000, (None, 400)),
        (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n", (None, 400)),
        (b"GET /health HTTP/9.9\r\n\r\n", (None, 200, 400, 505)),
    ]
    for text, expected in cases:
        found = status(raw(port, text))
        allowed = expected if isinstance(expected, tuple) else (expected,)
        assert found in allowed, (text[:120], found, expected)
    # A client that trickles its head, and one that stops within its body, are cut off; one that goes away is forgotten.
    trickle = socket.create_connection(("127.0.0.1", port), timeout=30)
    half = socket.create_connection(("127.0.0.1", port), timeout=30)
    half.sendall(post(ok, length=1000))
    try:
        for c in b"GET /health HTTP/1.1\r\nX: " + b"y" * 200:
            trickle.sendall(bytes([c]))
            time.sleep(0.1)
        assert False, "a head that takes 20 s was waited for"
    except (ConnectionError, BrokenPipeError):
        pass
    try:
        assert half.recv(100) == b"", "a body that does not end was answered"
    except ConnectionError:
        pass
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(post('{"prompt":"a","max_tokens":50,"stream":true}'))
        s.close()
    # One that takes nothing of a long answer does not keep the others waiting.
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(post('{"prompt":"a","max_tokens":3000,"stream":true}'))
    # More connections than are allowed: the others wait or are closed, and those that are there are served.
    many = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(64)]
    for s in many:
        s.close()
    deadline = time.monotonic() + 20
    while status(raw(port, post(ok))) != 200:
        assert time.monotonic() < deadline, "the server does not answer any more"
        time.sleep(0.1)
    deaf.close()


if __name__ == "__main__":
    if sys.argv[1] == "load":
        load(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    else:
        hostile(int(sys.argv[2]))
