"""The pace of probes."""

from gpupool.runtime.proof import PAUSE, RETRY, Proof


class Watch:
    """A clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_new_is_probed_at_once_and_again_when_it_was_forgotten() -> None:
    proof = Proof(Watch())
    assert proof.due()
    proof.note(())
    assert not proof.due()
    proof.forget()
    assert proof.due()
    assert not proof.complete


def test_what_does_not_deny_yet_is_probed_soon_again() -> None:
    watch = Watch()
    proof = Proof(watch)
    assert proof.note(("no-selector",))
    assert proof.wait(15.0) == RETRY
    watch.now += RETRY
    assert proof.due()


def test_what_denies_is_probed_now_and_then() -> None:
    watch = Watch()
    proof = Proof(watch)
    proof.note(())
    assert (proof.complete, proof.wait(15.0)) == (True, 15.0)
    watch.now += PAUSE - 0.1
    assert not proof.due()
    watch.now += 0.2
    assert proof.due()
    assert not proof.note(()), "no news"
