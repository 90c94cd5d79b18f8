"""What a history tells: lines of runs that may be joined, and where a line changes its level.

series     entries and figures of a history ▶ lines, each with its points in order of time
changes    a line ▶ its change points, each with sizes and a p value
tracking   lines ▶ the formats that other trackers read (openmetrics: that of Prometheus)
"""
