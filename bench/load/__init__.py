"""Load: Locust users whose sessions live in one loop per worker. gevent and Locust stop here."""
