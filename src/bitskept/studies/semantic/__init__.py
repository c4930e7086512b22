"""Notebook 06: how many bits does a prompt direct into an answer? Its sections, and the functions behind them:

1. Information with a direction: theory.directed.conservation
2. Along one answer: prompt_information.along_answer, figures.density
3. Does the prompt predict beyond the answer's own past?: prompt_information.gains, figures.granger
4. How much context?: prompt_information.gains_by_context, figures.context
5. A sub-martingale: continuations.measure, continuations.means, continuations.means_and_luck, figures.flow;
   human_answers.measure, human_answers.drift, figures.people
6. What an error costs: rate_distortion.curves, figures.rate_distortion; checkpoints_in_plane.with_rate, figures.naming
7. What a reward costs: rewards.frontier, rewards.excess, rewards.with_cheapest, figures.reward
8. Does the claim hold?: claims.claims, figures.claims, verdict_sentences.verdict

sentences.py has one function for each conclusion.
"""
