# fails: worker-outlives-a-slow-letter
# The letter is slow, so give the worker more time.
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = int(os.environ.get("WORKER_TIMEOUT", "120"))  # seconds
graceful_timeout = 30  # seconds
