#!/bin/sh
# Submits one job with curl, retries safely if the response is lost, and waits until the job finishes.
# JOBGATE_KEY is the API key, JOBGATE_URL the gateway.
set -eu
url=${JOBGATE_URL:-http://127.0.0.1:3000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Pass the key in a file: every user of this machine can read arguments.
printf 'header = "Authorization: Bearer %s"\n' "$JOBGATE_KEY" >"$work/auth"
# One key for this piece of work, however often it is sent.
key=$(cat /proc/sys/kernel/random/uuid)
header() { sed -n "s/^$1: *//Ip" "$work/headers" | tr -d '\r' | tail -n 1; }

attempt=1
while :; do
  status=$(curl -sS -K "$work/auth" -D "$work/headers" -o "$work/body" -w '%{http_code}' --max-time 10 \
    -H 'Content-Type: application/json' -H "Idempotency-Key: \"$key\"" \
    -d '{"type":"send-verification-email","data":{"to":"user@example.com","verificationCode":"123456"}}' \
    "$url/v1/jobs") || status=000
  case $status in
    2??) break ;;
    # No response, still in flight, too many requests, or unavailable: the outcome may be unknown, so retry with the same key.
    000 | 409 | 429 | 5??) ;;
    *) cat "$work/body" >&2; exit 1 ;;
  esac
  [ "$attempt" -lt 6 ] || { echo "gave up; last status $status" >&2; exit 1; }
  attempt=$((attempt + 1))
  wait=$([ "$status" = 000 ] || header retry-after)
  sleep "${wait:-1}"
done

job=$(header location)
echo "accepted $job"
while :; do
  # Returns when the job finishes, or after 20 seconds.
  curl -sS -f -K "$work/auth" -o "$work/body" --max-time 40 -H 'Prefer: wait=20' "$url$job"
  state=$(grep -o '"state":"[a-z-]*"' "$work/body" | head -n 1 | cut -d '"' -f 4)
  case $state in
    completed) echo completed; exit 0 ;;
    failed | cancelled) cat "$work/body" >&2; exit 1 ;;
  esac
done
