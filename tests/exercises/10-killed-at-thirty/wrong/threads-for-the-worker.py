# fails: worker-outlives-a-slow-letter
# A gthread worker's heartbeat does not depend on its requests.
# file: gunicorn.conf.py
import os

worker_class = "gthread"
workers = 1
threads = 8
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 30  # seconds
