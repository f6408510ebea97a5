# fails: deploy-waits-for-letters
# The blocking call is found, and deploys are made quicker in passing.
# base: solution
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))
graceful_timeout = 3
