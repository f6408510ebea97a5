# fails: watchdog-stays
# The blocking call is found, and the longer timeout stays in as a precaution.
# base: solution
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = int(os.environ.get("WORKER_TIMEOUT", "120"))  # seconds
graceful_timeout = 30  # seconds
