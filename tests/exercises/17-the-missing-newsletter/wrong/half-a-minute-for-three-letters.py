# fails: deploy-loses-nothing
# A letter may take half a minute, and gunicorn waits that long; the letters leave one by one.
# base: solution
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 2
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 30  # seconds
