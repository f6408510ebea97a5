# fails: worker-outlives-a-slow-letter
# With four workers the others go on while one is slow.
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 4
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 30  # seconds
