# fails: deploy-loses-nothing
# The app is whole; gunicorn gives it three seconds at the end, so that deploys are quick.
# base: solution
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 2
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 3  # seconds
