# passes: the fix, and a timeout written into the file
# Thirty seconds are thirty seconds, also without the environment.
# file: gunicorn.conf.py
worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = 30  # seconds
graceful_timeout = 30  # seconds
