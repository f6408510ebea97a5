# fails: others-are-answered
# If the worker must say that it is alive, a thread can say it.
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 30  # seconds


def post_worker_init(worker):
    import threading
    import time

    def beat():
        while True:
            worker.notify()
            time.sleep(0.5)

    threading.Thread(target=beat, daemon=True).start()
