"""The report: tables of a run folder turned into one offline page. Plotly and jinja2 live here."""
