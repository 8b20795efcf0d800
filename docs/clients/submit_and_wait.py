"""Submits one job with urllib, retries safely if the response is lost, and waits until the job finishes.

JOBGATE_KEY is the API key, JOBGATE_URL the gateway.
"""

import json
import os
import sys
import time
import uuid
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

URL = os.environ.get("JOBGATE_URL", "http://127.0.0.1:3000")
AUTH = {"Authorization": "Bearer " + os.environ["JOBGATE_KEY"]}


def submit(job_type, data, attempts=6):
    """Returns the job. One key for this piece of work, however often it is sent."""
    headers = {**AUTH, "Content-Type": "application/json", "Idempotency-Key": '"%s"' % uuid.uuid4()}
    body = json.dumps({"type": job_type, "data": data}).encode()
    for attempt in range(1, attempts + 1):
        wait = 1
        try:
            with urlopen(Request(URL + "/v1/jobs", body, headers), timeout=10) as answer:
                return json.load(answer)
        except HTTPError as error:
            # Still in flight, too many requests, or unavailable: the outcome may be unknown, so retry with the same key.
            if error.code not in (409, 429) and error.code < 500:
                raise SystemExit(error.read().decode())
            problem = "status %d" % error.code
            wait = int(error.headers.get("Retry-After", "1"))
        except (URLError, TimeoutError, ConnectionError) as error:
            problem = str(error)
        if attempt < attempts:
            time.sleep(wait)
    raise SystemExit("gave up: " + problem)


def wait_until_finished(job_id):
    """Long-polls: each request returns when the job finishes, or after 20 seconds."""
    while True:
        request = Request(URL + "/v1/jobs/" + job_id, headers={**AUTH, "Prefer": "wait=20"})
        with urlopen(request, timeout=40) as answer:
            job = json.load(answer)
        if job["state"] in ("completed", "failed", "cancelled"):
            return job


job = submit("send-verification-email", {"to": "user@example.com", "verificationCode": "123456"})
print("accepted", job["id"])
job = wait_until_finished(job["id"])
print(job["state"])
if job["state"] != "completed":
    sys.exit(json.dumps(job["error"]))
