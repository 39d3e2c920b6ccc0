"""Words by which names are told from sentences, tiers from each other, and fields of tools from those of a dialogue."""

from ..columns import ALIASES, plain_name


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Small words within names, in the languages of their bearers.
JOINING = _set("""
    a an and at de in of on the to for & van von der den dem zu zur und del della di da do dos das la le les el y e et
    al bin ibn ben af av ter ten""")
# What opens a sentence and no name.
OPENERS = _set("""
    note nb n.b. ps p.s. look listen wait well yes no oh hey okay ok so and but or remember please sorry hi hello thanks
    fact example warning update reminder answer question tip plus also then now here there first second finally i
    attention achtung bitte ja nein alors donc oui non""")
# What makes a sentence, and stands in no name.
VERBS = _set("""
    is are was were be been am i i'm i've i'll it it's we they this that that's these those what what's why how when
    where my your our their not if because did does have has had will would can could should here's let's let me us
    think said say says told don't doesn't didn't isn't ist sind war ich est suis c'est je es""")

# Parts of the names of tiers, by what the tier holds.
TEXT_TIERS = frozenset(map(plain_name, ALIASES["text"])) | _set("""
    tx txt utt utts utterances sentences spch orth ort orthography transcripts transkription trans phrase phrases turns
    ipu""")
LABEL_TIERS = frozenset(map(plain_name, ALIASES["label"]))
SPEAKER_TIERS = _set("speaker speakers who sprecher locuteur")
WORD_TIERS = _set("""
    word words wd token tokens phone phones phoneme phonemes syllable syllables mau kan letters phon sampa ipa""")
OTHER_TIERS = _set("""
    note notes comment comments kommentar gesture gestures gaze head hand hands face body posture movement action
    actions nonverbal translation translations ft gls gloss glosses mb ge ps pos morph morphemes noise noises
    music scene shot
    camera pitch tone tones breaks misc probability score events laughter pause pauses silence silences ref""")
SILENCES = _set("sil sp spn <sil> # <p:> <p> silence _")

# Fields of JSON that are no part of a dialogue: how a tool found the words, and what `m2fnet predict` adds.
BOOKKEEPING = frozenset(
    map(
        plain_name,
        _set("""
    words tokens seek temperature avg_logprob avg_log_prob compression_ratio no_speech_prob confidence score probability
    channel sentiment language language_probability type clean offsetInTicks durationInTicks scores modalities missing
    is_final start_ts end_ts items elements nBest recognitionStatus locale speaker_confidence speaker_turn_next segs
    wWinId aAppend wpWinPosId wsWinStyleId chars faces result_index final alternatives num_words"""),
    )
)
