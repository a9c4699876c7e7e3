"""Whether lower or higher is better, by the name of a metric alone; what a name does not tell is not guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.project.directions import direction_of, is_time_or_resource, read_direction

HIGHER = """
accuracy val_acc test/accuracy top1 top5_accuracy balanced_accuracy f1 F1 macro_f1 f1_score primary_f05 f_beta auc
roc_auc auroc pr_auc ap mAP map50 mean_average_precision precision recall recall@10 precision@5 p@10 sensitivity
specificity tpr iou mIoU dice mcc cohen_kappa qwk r2 r2_score r_squared adjusted_r2 pearson pearson_r spearmanr
spearman_corr kendall_tau rank_ic bleu sacrebleu rougeL rouge_2 meteor chrf bertscore ndcg nDCG ndcg@10 proxy_ndcg10
mrr mrr@10 hit@1 hits@10 hit_rate cache_hit_rate pass@1 pass_rate pass_at_1 psnr ssim throughput tokens_per_sec
tokens_per_second tok_per_sec tok/s tokens/s samples_per_sec images_per_second steps_per_sec it_per_sec games_per_hour
gb_per_s req_per_sec mb_per_sec tps qps rps fps iops tflops bandwidth speedup mfu reward mean_reward episode_return
return_pct sharpe sharpe_ratio val_sharpe sortino calmar information_ratio cagr profit profit_factor net_profit pnl
total_pnl roi win_rate winRate win_loss_ratio wins elo elo_rating trueskill success_rate solve_rate tests_passed
num_correct coverage test_coverage log_likelihood mean_log_likelihood elbo silhouette_score modularity quality_score
efficiency_score cost_efficiency loss_reduction error_reduction latency_reduction time_saved cost_savings
memory_savings error_free_rate bugs_found bugs_fixed accuracy_improvement information_gain neg_mean_squared_error
neg_root_mean_squared_error neg_log_loss negative_loss inverse_latency negated_cost mean_time_between_failures
survival_time survival_rate uptime availability conversion_rate ctr retention return_over_maxdd accuracy_at_latency
true_positive_rate tokens_per_dollar
"""
LOWER = """
loss val_loss valLoss train_loss nll val_nll bpb val_bpb bits_per_byte bits_per_symbol bpc perplexity ppl error err
intent_err error_rate test_error mse rmse val_rmse rmsle mae mape smape log_loss logloss cross_entropy kl
kl_divergence brier brier_score crps ece calibration_error wer cer word_error_rate eer fid lpips chamfer_distance
wasserstein latency latency_ms p99_latency latency_p99_ms p50_latency_us ttft time_to_first_token time_to_solution
seconds total_seconds eval_seconds runtime ms total_ms parse_ms ns_per_op ms_per_token seconds_per_step wall-time
duration elapsed makespan bytes total_bytes binary_size bundle_size_kb file_size memory_mb peak_memory peak_vram_mb
rss_mb allocations instructions cycles cost cost_usd total_cost cost_per_query cost_per_hour energy_joules regret
optimality_gap generalization_gap gap drawdown max_drawdown maxdd max_dd accuracy_drop accuracy_loss recall_loss
sharpe_std neg_log_likelihood negative_log_likelihood neg_sharpe negative_elbo negative_reward one_minus_accuracy
loss_value false_positive_rate false_negatives fpr miss_rate failure_rate crash_rate failing_checks num_failures
failed_tests num_errors error_count errors_per_sec warnings violations constraint_violations collisions
hallucination_rate toxicity variance prediction_variance real_time_factor memory_error_rate compatibility_failures
penalty overhead_pct jitter
"""
OPEN = """
score val_score total_score combined_score ratio value fitness objective objective_value composite metric result
compression_ratio size_ratio latency_score loss_score learning_rate batch_size vocab_size num_params depth steps
accuracy_delta loss_diff loss_change time_budget memory_limit target_accuracy_threshold goodness n tokens unsupported
loss_gain Depth foo resolve_s
"""


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, "higher") for name in HIGHER.split()),
        *((name, "lower") for name in LOWER.split()),
        *((name, None) for name in OPEN.split()),
    ],
)
def test_what_a_name_tells(name: str, direction: str | None) -> None:
    assert direction_of(name) == direction


def test_whole_families_are_known() -> None:
    higher, lower = {*HIGHER.split()}, {*LOWER.split()}
    assert len(higher) >= 100 and len(lower) >= 100 and not higher & lower


@pytest.mark.parametrize("name", ["eval_seconds", "total_ms", "peak_vram_mb", "elapsed", "latency", "cost_usd", "size"])
def test_a_time_or_a_resource(name: str) -> None:
    assert is_time_or_resource(name)


@pytest.mark.parametrize(
    "name", ["tok_per_sec", "val_bpb", "time_saved", "memory_error_rate", "accuracy", "score", "fps"]
)
def test_no_time_and_no_resource(name: str) -> None:
    assert not is_time_or_resource(name)


@pytest.mark.parametrize(
    ("said", "direction"),
    [
        *(
            (word, "lower")
            for word in ("lower", "min", "Minimise", "minimize", "MINIMIZING", "lower_is_better", "less")
        ),
        *((word, "higher") for word in ("higher", "max", "maximise", "Maximize", "higher is better", " greater ")),
        *((word, None) for word in ("", "up", "lower bound", "maxi", None, 3, "best")),
    ],
)
def test_a_direction_as_people_write_it(said: object, direction: str | None) -> None:
    assert read_direction(said) == direction


@given(st.text(max_size=60))
def test_any_text_is_a_name(text: str) -> None:
    assert direction_of(text) in ("lower", "higher", None) and isinstance(is_time_or_resource(text), bool)
