"""Starts nginx in front of gunicorn on a unix socket, as the samples do: `reference.py PORT FOLDER`."""

import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes auto;
events {{ worker_connections 2048; }}
http {{
  access_log off; client_max_body_size 20m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream gunicorn {{ server unix:{folder}/gunicorn.sock; }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {{ proxy_set_header Host $http_host; proxy_read_timeout 60s; proxy_pass http://gunicorn; }}
  }}
}}
"""


def main(port, folder):
    """Runs both until SIGTERM."""
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(CONFIGURATION.format(port=port, folder=folder))
    gunicorn = [os.path.join(os.path.dirname(sys.executable), "gunicorn"), "--timeout", "60", "-k", "gevent"]
    gunicorn += ["-b", f"unix:{folder}/gunicorn.sock", "-w", "2", "--chdir", HERE, "reference_app:app"]
    processes = [subprocess.Popen(["nginx", "-c", path]), subprocess.Popen(gunicorn)]
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in processes])
    for process in processes:
        process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
