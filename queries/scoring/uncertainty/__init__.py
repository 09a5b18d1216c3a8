"""How sure a score is: 95 % intervals of scores, and the ranks that they allow.

A score rests on few events, and 3 of 3 successes are no proof of a success
rate of 1. The interval of one group of events (an orchestrator, a region, a
job) has two parts:

- *Success.* The mean s of success_rate has Wilson's interval [s₁, s₂], wider
  by CONTINUITY events at both ends: Wilson's own is too short for rates just
  below 1. It is computed for n/φ events, with
  φ = (Σ(sᵢ−s)² + VARIANCE_PRIOR) / (n·s·(1−s) + VARIANCE_PRIOR). φ is 1 where
  jobs succeed or fail as a whole, and smaller where they succeed in part.
  Failed jobs may take longer or shorter than others. So the score at s₁ and at
  s₂ takes the mean time that the regression of time on success gives there.
- *Time.* Let u be the mean round trip time (for transcoding, divided by the
  mean seg_duration), and v the relative variance that the regression leaves.
  Few events tell little of v, so the network's v counts like that of
  POOL_EVENTS events more. With the quantile q of Student's t and h = v/n, the
  mean lies in [u·e^(−q·√h), u·e^(q·√h + h)]. The h at the upper end is there
  because the logarithm of the mean of skewed times tends to be too low.

For live video, quality takes the place of time. It is 0 where a job failed, so
the second part is the mean quality of the jobs that succeeded, with Student's
interval and the variance pooled as above.

With aᵢ and bᵢ the distances of the score from the lower and upper end of each
part, the interval is [score − √Σaᵢ², score + √Σbᵢ²]. So it is for means over jobs
and regions, whose distances are weighted as their scores are. (This is the method
of variance estimates recovery: G. Y. Zou and A. Donner, "Construction of
confidence limits about effect measures: a general approach", Statistics in
Medicine 27, 2008.) The median round trip time of AI jobs is taken as known. Where
events have weights w, n is (Σw)²/Σw² (L. Kish, "Survey Sampling", 1965).

The score of a group without any success is 0. Its interval begins at 0 and ends
where it would without this rule.
"""
