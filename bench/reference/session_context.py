"""What the parts of one session share: who it is, what it is told about itself, and its state.

The parts (input, back-channel, responses) know the session by its context and each other not at
all, but for the input, which begins and cuts responses.
"""

from itertools import count

from bench.protocol import server as say
from bench.protocol.objects import Item
from bench.protocol.server import ServerMessage
from bench.reference.admission import Admitted
from bench.reference.conversation_items import ConversationItems
from bench.reference.draws import SessionDraws
from bench.reference.message_variants import variants_of
from bench.reference.profile import SESSION_QUIRKS, Profile
from bench.reference.schedule import Close, Raw, Schedule
from bench.reference.server_state import ServerState
from bench.reference.settings import LIFETIME_S, SessionSettings
from bench.reference.vendor import SERVICES
from bench.reference.voices import Voices


class SessionContext:
    """One session. Its `number` and the seed decide every draw, and make its `name`.

    `quirks` are those that this session has from its first message to its last; `opened_s` is the
    wall clock in epoch seconds.
    """

    def __init__(
        self,
        profile: Profile,
        voices: Voices,
        state: ServerState,
        admitted: Admitted,
        opened_s: int,
    ) -> None:
        self.number = admitted.number
        self.name = f"{profile.seed}x{admitted.number}"
        self.session_id = f"sess_{self.name}"
        self.profile = profile
        self.voices = voices
        self.server_state = state
        self.draws = draws = SessionDraws(profile.seed, admitted.number)
        self.quirks = frozenset(
            quirk
            for quirk in SESSION_QUIRKS
            if draws.happens(quirk, getattr(profile.quirks, quirk))
        )
        self.schedule = Schedule(f"event_{self.name}", variants_of(self.quirks))
        self.settings = SessionSettings(
            SERVICES[admitted.dialect],
            session_id=self.session_id,
            model=admitted.model,
            opened_s=opened_s,
            lifetime_s=round(profile.limits.session_s) or LIFETIME_S,
            quirks=self.quirks,
        )
        self.items = ConversationItems(thirds="g711_truncate_thirds" in self.quirks)
        self._item_ids = count(1)

    def say(self, message: ServerMessage | Raw | Close, cause: str) -> None:
        """Make a message due now."""
        self.schedule.say(message, cause)

    def new_item_id(self) -> str:
        """An id for an item that no response and no client has named."""
        return f"item_{self.name}_{next(self._item_ids)}"

    def add_item(self, item: Item, after: str | None, cause: str) -> None:
        """Add a whole item behind `after`, at the end for None, and say so in two messages."""
        previous = self.items.add(item, after)
        self.say(say.ConversationItemAdded(item=item, previous_item_id=previous), cause)
        self.say(say.ConversationItemDone(item=item, previous_item_id=previous), cause)
