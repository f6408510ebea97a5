# fails: others-are-answered
# The letter is slow, so give the worker more time, whatever the environment says.
# file: gunicorn.conf.py
worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = 120  # seconds
graceful_timeout = 30  # seconds
