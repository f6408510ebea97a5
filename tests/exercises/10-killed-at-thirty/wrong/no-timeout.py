# fails: others-are-answered
# A worker that is never replaced never loses its letters.
# file: gunicorn.conf.py
worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = 0
graceful_timeout = 30  # seconds
