"""Whether lower or higher is better, as far as a metric's name tells."""

from __future__ import annotations

import re

LOWER, HIGHER = "lower", "higher"
_OTHER = {LOWER: HIGHER, HIGHER: LOWER}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TIME = (
    "time walltime runtime seconds second secs sec s minutes hours ms us ns millis elapsed duration latency latencies"
    " ttft tpot itl delay lag jitter makespan tardiness cycles ticks"
)
_RESOURCES = (
    "bytes kb mb gb kib mib gib size filesize bundle memory mem ram vram rss footprint alloc allocs allocations"
    " instructions overhead gas energy joules emissions carbon cost costs spend usd waste"
)
_LOWER_WORDS = (
    "loss losses nll bpb bpc bpd bpt bps bits perplexity ppl entropy crossentropy logloss bce kl kld jsd divergence"
    " error errors err errs mse rmse rmsle mae mape smape mase wape medae brier crps pinball ece eer wer cer mer ter"
    " fid kid lpips mcd chamfer hausdorff emd wasserstein regret gap drawdown maxdd mdd cvar residual residuals"
    " penalty penalties violation violations fail fails failed failing failure failures crash crashes crashed bug bugs"
    " defects warnings miss misses missed mistake mistakes incorrect wrong invalid rejected rejection timeouts"
    " collisions conflicts regressions leak leaks hallucination hallucinations toxicity churn dropped stalls fpr fnr"
    " std stdev stddev variance drift deviation bias staleness rtf infeasibility unsolved lost misclassified"
)
_HIGHER_WORDS = (
    "acc accuracy auc auroc roc auprc aucpr rocauc prauc ap map iou miou giou dice jaccard precision recall"
    " sensitivity specificity tpr tnr bleu sacrebleu rouge rougel meteor chrf bertscore cider comet ndcg dcg mrr hit"
    " hits hitrate psnr ssim msssim vmaf pesq stoi sdr sisdr snr rsquared pearson pearsonr spearman spearmanr kendall"
    " correlation corr mcc kappa qwk gini throughput bandwidth goodput tps qps rps fps nps sps iops tflops speed"
    " speedup mfu reward rewards return returns sharpe sortino calmar cagr profit profits profitability pnl roi roe"
    " irr revenue expectancy win wins winrate won elo trueskill success successes successful solve solved solves"
    " correct passed passing passes pass resolved coverage utility quality survival alive likelihood loglikelihood"
    " logprob elbo fidelity faithfulness relevance helpfulness silhouette modularity purity nmi ari homogeneity"
    " completeness efficiency efficacy conversion conversions ctr retention engagement uptime availability yield"
    " savings saved utilization utilisation f1 f2 fbeta topk"
)
TIMES = _set(_TIME)
RESOURCES = _set(_RESOURCES)
_LOWER = _set(_LOWER_WORDS) | TIMES | RESOURCES
_HIGHER = _set(_HIGHER_WORDS)

_RATES = _set("s sec secs second seconds min minute h hour hours day ms us ns gpu core watt joule dollar")
_COUNTED = _set("tok toks tokens it iter iters steps ops req reqs mb gb kb mib gib samples frames games")
_TURNS = _set("neg negative negated minus inverse inv inverted non")  # before what they turn around
_UNDONE = _set(  # after what they turn around, where that is bad
    "reduction reduced saved savings saving avoided avoidance eliminated free fixed found detected caught prevented"
    " removed recovered decrease drop"
)
_SPOILT = _set("drop reduction decrease degradation decline lost loss error gap std variance")
_BETTER = _set("improvement improvements gain gains uplift lift")
_OPEN = _set(  # a name that ends in one of these says nothing of the direction by itself
    "delta diff difference change budget limit threshold target baseline seed tolerance interval"
)
_SCALES = _set("score scores ratio index rating grade points fitness objective factor")
_SETTINGS = _set("batch vocab vocabulary sample population window step hidden block chunk buffer pool")
_JOINTS = _set("per over to vs at under with by in on of for from against given between")
_SAID = {  # how people write a direction down
    LOWER: _set("lower low less fewer smaller min minimal minimum minimise minimised minimising")
    | _set("minimize minimized minimizing minimization minimisation"),
    HIGHER: _set("higher high more greater larger bigger max maximal maximum maximise maximised maximising")
    | _set("maximize maximized maximizing maximization maximisation"),
}
_WHOLE = {
    "information_ratio": HIGHER,
    "win_loss_ratio": HIGHER,
    "profit_loss_ratio": HIGHER,
    "profit_and_loss": HIGHER,
    "real_time_factor": LOWER,
    "brier_score": LOWER,
    "crps_score": LOWER,
    "r_squared": HIGHER,
    "r2": HIGHER,
    "f_beta": HIGHER,
    "rank_ic": HIGHER,
    "false_positive": LOWER,
    "false_negative": LOWER,
    "false_positives": LOWER,
    "false_negatives": LOWER,
    "true_positive": HIGHER,
    "true_negative": HIGHER,
    "negative_log_likelihood": LOWER,
    "neg_log_likelihood": LOWER,
    "time_to_failure": HIGHER,
    "time_between_failures": HIGHER,
    "max_dd": LOWER,
    "exact_match": HIGHER,
}


def direction_of(metric: str) -> str | None:
    """Whether "lower" or "higher" is better, by the metric's name; None where the name does not tell."""
    words = words_of(metric)
    joined = "_".join(words)
    for name, direction in _WHOLE.items():
        if f"_{name}_" in f"_{joined}_":
            return direction
    return _of(words)


def read_direction(said: object) -> str | None:
    """The direction that somebody wrote, as in `minimize`, `Max` and `lower is better`; None for anything else."""
    words = said.lower().replace("_", " ").split() if isinstance(said, str) else []
    if words[1:] not in ([], ["is", "better"]):
        return None
    return next((direction for direction, known in _SAID.items() if words and words[0] in known), None)


def words_of(name: str) -> list[str]:
    """The words of a name, in small letters: of snake_case, kebab-case, camelCase, paths, and `recall@10`."""
    plain = re.sub(r"/(?=(?:s|sec|second|min|h|hour)\b)", " per ", name.partition("@")[0] or name)
    plain = "precision" if plain.lower() == "p" else plain
    found = []
    for word in re.findall(r"[A-Za-z]+\d*|\d+", plain):
        whole = _stem(word.lower())
        parts = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*", word)
        found += [whole] if _known(whole) or len(parts) < 2 else [_stem(part.lower()) for part in parts]
    return found


def is_time_or_resource(name: str) -> bool:
    """Whether a name says only how long something took or how much it used, as `eval_seconds` and `peak_vram_mb`."""
    words = set(words_of(name))
    spends = bool(words & (TIMES | RESOURCES)) and not words & (_LOWER - TIMES - RESOURCES)
    return spends and direction_of(name) != HIGHER


def _stem(word: str) -> str:
    """`ndcg10` is ndcg, `f05` an F score, `top5` an accuracy."""
    if re.fullmatch(r"f\d+", word):
        return "f1"
    if re.fullmatch(r"top\d+", word):
        return "topk"
    bare = word.rstrip("0123456789")
    return bare if word not in ("r2", "f1", "f2") and _known(bare) and bare != "s" else word


def _known(word: str) -> bool:
    return word in _LOWER or word in _HIGHER


def _of(words: list[str]) -> str | None:
    if not words:
        return None
    if words[0] in _TURNS or words[:2] == ["one", "minus"]:
        rest = _of(words[1:] if words[0] in _TURNS else words[2:])
        return _OTHER[rest] if rest else None
    joint = next((place for place, word in enumerate(words) if place and word in _JOINTS), None)
    if joint is not None:
        base = _of(words[:joint])
        if words[joint] == "of" and base is None:
            return _of(words[joint + 1 :])
        if words[joint] == "per" and words[joint + 1 : joint + 2] and words[joint + 1] in _RATES:
            counts = not set(words[:joint]) & (_LOWER - RESOURCES - {"bits"}) - _COUNTED
            spent = set(words[:joint]) & {"cost", "costs", "usd", "energy", "joules", "spend"}
            return HIGHER if counts and not spent else base
        return base
    last = words[-1]
    if last == "s":
        return HIGHER if len(words) > 1 and words[-2] in _COUNTED else None
    if last in _OPEN or ("size" in words and set(words) & _SETTINGS):
        return None
    before = _of(words[:-1])
    if last in _UNDONE and before == LOWER:
        return HIGHER
    if last in _SPOILT and before == HIGHER:
        return LOWER
    if last in _BETTER:
        return None if before == LOWER else HIGHER
    if last in _SCALES:
        return before if before == HIGHER else None  # a score made of a loss or a latency may be either
    if "free" in words[1:] and _of(words[: words.index("free")]) == LOWER:
        return HIGHER
    if last in ("time", "steps") and set(words) & {"survival", "alive"}:
        return HIGHER
    if last in _UNDONE and last not in _HIGHER:
        return None
    return LOWER if last in _LOWER else HIGHER if last in _HIGHER else before
