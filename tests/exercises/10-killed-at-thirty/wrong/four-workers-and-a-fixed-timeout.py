# fails: others-are-answered
# Four workers, and a timeout that no environment changes, look healthy for half a minute.
# file: gunicorn.conf.py
worker_class = "uvicorn_worker.UvicornWorker"
workers = 4
timeout = 30
graceful_timeout = 30  # seconds
