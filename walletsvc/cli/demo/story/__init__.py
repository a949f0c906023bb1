"""The story: guests join, shop, share, receive a gift; their phones, of both kinds, follow.

Everything goes through the REST interface, with the keys of the tills where it happens, or
through the pages that customers use, with the messages that the emulator got. Pushes
and phones go through the real processes. Each step says what happened and when; a step that
does not hold ends the story with an error.
"""

from __future__ import annotations

from walletsvc.cli.demo.story import books, family, gift, joining, points, rules
from walletsvc.cli.demo.story.stage import Stage, StoryError, Tills

__all__ = ["Stage", "StoryError", "Tills", "play"]


def play(stage: Stage) -> None:
    """Play all scenes; raises StoryError (or what the phone objected to) when one fails."""
    vera = points.joins(stage)
    points.earns(stage, vera)
    points.spends_and_returns(stage, vera)
    points.dines_at_the_hotel(stage, vera)
    family.shares(stage, vera)
    gift.receives_and_spends(stage)
    gift.is_given(stage)
    gift.comes_too_late(stage)
    rules.reaches_a_tier(stage, rules.explains_a_bill(stage))
    rules.rehearses(stage)
    joining.by_the_poster(stage)
    joining.by_a_call(stage)
    stage.hers.remove_all()
    stage.his.remove_all()
    stage.android.remove_all()
    stage.say("the cards are deleted from all phones: both iPhones unregister, Google calls back")
    books.between_organisations(stage)
    books.liability(stage)
    books.verification(stage)
    complaints = [*stage.hers.complaints, *stage.his.complaints]
    if complaints:
        raise StoryError(f"A phone complained: {'; '.join(complaints)}")
