"""How the service meets its clients: gunicorn's worker, with limits of time, speed and number for each of them."""
