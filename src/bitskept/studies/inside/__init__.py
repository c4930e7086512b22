"""Notebook 07: what happens inside a Transformer, in bits, distances and energies? Its sections, and the functions
behind them:

1. A ceiling, and two bounds that are one: elbo.bounds, figures.elbo; infonce.between_halves, figures.infonce
2. Transformer, Mamba-2, masked diffusion: architectures.by_checkpoint, architectures.over_training,
   figures.architectures
3. How many dimensions?: projected_embeddings.distortions, figures.dimension
4. The shapes of layers: layer_shapes.compared, figures.geometry
5. Attention as an energy: attention_energy.lowered_by_layer, figures.energy; capacity.capacities, figures.memory,
   capacity.growth
6. What a network may cost on other text: generalisation.bounds, figures.generalisation; subspace.py has the networks in
   which few numbers are trained
7. Do the claims hold?: claims.claims, figures.claims, sentences.verdict

sentences.py and generalisation_sentences.py have one function for each conclusion.
"""
