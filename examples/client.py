"""A client of the service, with nothing installed: time limits, and no label is learnt twice."""

import http.client
import json
import time
import urllib.error
import urllib.request


class Client:
    """Use one for all requests; it holds no connection. `seconds` is what a page can wait for."""

    def __init__(self, url="http://127.0.0.1:8000", token=None, seconds=0.3):
        self.url, self.seconds = url.rstrip("/"), seconds
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path, body, seconds, tries=1):
        """Return the answer; ValueError: it does not fit; OSError: the service is not there."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), self.headers)
        for tried in range(1, tries + 1):
            try:
                with urllib.request.urlopen(request, timeout=seconds) as reply:
                    return json.loads(reply.read())
            except urllib.error.HTTPError as error:  # below 500 it would be refused again
                if error.code < 500 or tried == tries:
                    kind = {413: ValueError, 422: ValueError, 503: OSError}
                    raise kind.get(error.code, RuntimeError)(error.read().decode()) from None
            except (OSError, http.client.HTTPException) as error:
                if tried == tries:
                    raise OSError(f"{self.url}: {error}") from None
            time.sleep(min(5.0, 0.1 * 2**tried))  # a start takes some seconds

    def predict(self, rows, otherwise=0.0):
        """Return (scores, id for `learn`); `otherwise` and None where no answer comes in time."""
        try:  # once: whoever waits for the page has no time for a second try
            answer = self.ask("/predict", {"rows": rows}, self.seconds)
        except OSError:
            return [otherwise] * len(rows), None
        return answer["scores"], answer["id"]

    def learn(self, ids, labels):
        """Try for a minute; a label that was learnt counts as nothing when it comes again."""
        return self.ask("/learn", {"ids": ids, "labels": labels}, seconds=10.0, tries=15)
