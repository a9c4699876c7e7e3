import statistics

from market import prices
from strategy import position

series, wealth, peak, worst, earned, held = prices(), 1.0, 1.0, 0.0, [], 0.0
for day in range(450, len(series) - 1):
    wanted = position(series[: day + 1])
    gain = wanted * (series[day + 1] / series[day] - 1) - 0.001 * abs(wanted - held)
    held = wanted
    earned.append(gain)
    wealth *= 1 + gain
    peak = max(peak, wealth)
    worst = max(worst, 1 - wealth / peak)
sharpe = statistics.fmean(earned) / (statistics.pstdev(earned) or 1.0) * 252**0.5
print("---")
print(f"trades_seconds: {0.0:.1f}")
print(f"total_return:  {100 * (wealth - 1):.1f}%")
print(f"max_drawdown:  {worst:.3f}")
print(f"sharpe:        {sharpe:.6f}")
