"""The server's clock: milliseconds of audio written to it, and where they lie in the caller's time.

Theory of operation
-------------------
A server counts positions in audio that it was sent. While the microphone is open all the time, that
is the microphone's own timeline. In manual mode it is muted between recordings: nothing is sent
there, and the server's clock stands still. Every append says where on the timeline it lies
(`media_ns`), so where on the server's clock it lies (`written_ns`) is the sum of all before it, and
the appends are the map from one to the other. Before the first append and behind the last both
clocks run alike.
"""

import numpy as np
import pandas as pd

from bench.analysis.tables import Ints, integers, latest, nullable, of_type, sent_ns


def appends(events: pd.DataFrame) -> pd.DataFrame:
    """One row per append, in order: `session`, `sent_ns`, `media_ns`, `written_ns`, `audio_ns`."""
    rows = of_type(events, "input_audio_buffer.append", direction="out")
    rows = rows[rows["media_ns"].notna()]
    session, length = rows["session"].to_numpy(), integers(rows["audio_ns"], 0)
    total = np.cumsum(length) - length
    first = np.searchsorted(session, session)  # sorted by session: where each one's begin
    return pd.DataFrame(
        {
            "session": session,
            "sent_ns": sent_ns(rows),
            "media_ns": integers(rows["media_ns"], 0),
            "written_ns": total - total[first],
            "audio_ns": length,
        }
    )


def to_media(appended: pd.DataFrame, session: Ints, written_ns: Ints) -> Ints:
    """Positions on the server's clock as positions on the microphone's timeline."""
    shift = (appended["media_ns"] - appended["written_ns"]).to_numpy()
    if not shift.any():
        return written_ns
    last = latest(
        session, written_ns, appended["session"].to_numpy(), appended["written_ns"].to_numpy()
    )
    return np.where(last >= 0, written_ns + shift[last], written_ns)


def samples_sent(appended: pd.DataFrame, turns: pd.DataFrame) -> pd.DataFrame:
    """When the appends that carry the server's own start and end samples were sent.

    `turns` has `session`, `audio_start_ms`, `audio_end_ms`; NA where no append carries the sample.
    """
    session = np.tile(turns["session"].to_numpy(), 2)
    # The end is exclusive: the sample that decided is the last one before it.
    position = np.concatenate(
        [
            integers(turns["audio_start_ms"], -1) * 1_000_000,
            integers(turns["audio_end_ms"], -1) * 1_000_000 - 1,
        ]
    )
    written, length = appended["written_ns"].to_numpy(), appended["audio_ns"].to_numpy()
    last = latest(session, position, appended["session"].to_numpy(), written)
    if not len(written):
        found, sent = np.zeros(len(position), bool), np.zeros(len(position), np.int64)
    else:
        found = (last >= 0) & (position >= 0) & (position < written[last] + length[last])
        sent = appended["sent_ns"].to_numpy()[last]
    columns = nullable(sent, found)
    count = len(turns)
    return pd.DataFrame(
        {"start_sample_sent_ns": columns[:count], "stop_sample_sent_ns": columns[count:]},
        index=turns.index,
    )
