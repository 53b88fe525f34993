"""What the guide says around its tables."""

from __future__ import annotations

HEAD = """\
## Which sampler at how many steps

Written by `make docs` from [measured.json](measured.json). Every scheduler ran with default options (but those named)
at the most steps that keep to a number of evaluations, NFE, on two problems:

- **digits**: the built-in model, a small network (16x16 pixels, 1 million parameters) with guidance 2; 100 samples,
  ten of each digit. How many a classifier reads as the digit asked for, and how much the samples of one digit differ,
  against people's writing. Both have to be right: the mean of all threes is read as a three. Differences under 3 % or
  0.1 are noise.
- **mixture**: numbers in three narrow clusters, and the exact denoiser, without guidance. The Wasserstein distance of
  10,000 samples from the data, in units of the data's deviation. Below 0.01 it is noise; the mean of the data alone
  has 0.89.

Neither is your model. Where both agree, expect it to carry over. What guidance does, and what a trained network gets
wrong, only the digits show, and that is the evidence of one small network. Both problems follow the linear noise
schedule; schedulers of flows and of EDM run over it by the same noise-to-signal ratios. Default options are those of
diffusers' classes: a pipeline's own scheduler config may do better, and `respacing` alone changes much.

"""
COUNTS = """\
How many schedulers of a kind draw at least 95 % of the digits as asked for, with a variance of 0.8 to 1.25 times
people's:

"""
LISTS = """\
In the lists below `digits` is ordered by the variance, nearest to people's first, among those whose digits are read
within 2 % of the best of their kind, and `mixture` by the distance. *First choice* is the one whose worse place in the
two orders is best, or where not all have drawn digits, that of the least distance. In brackets: steps, then what was
measured.

"""
FEW = """\
### Few steps, for distilled models

These put fresh noise on a predicted x0, and are right only with a network that was distilled to predict where the
probability flow ends. There is none for digits. So *distilled* is the mixture's exact one, in closed form, and *plain*
the exact denoiser, with which they should not be used. Three want more than that closed form: `tcd` a network that was
distilled to lead to every level between, `helios_dmd` one that was trained on the noise put back, `piflow` one that
gives a policy which follows the flow (it gets one that does not change). They are best at one step here.

"""
RESPACED = """\
### Where the steps lie

How much `respacing` does, by the mixture alone: the distance with default options, and with the best of those that were
tried ({respacings}). By default most spread the steps evenly over the timesteps of
training. In log(sigma) the last step is then the longest, and solvers that extrapolate over it gain most.

"""
CAPTIONS = """\
### The figures

![Distance from the mixture against NFE](images/mixture.svg)

The mixture, family by family. Dashed: the exact denoiser under schedulers for distilled models.

![Digits by the deterministic schedulers](images/digits-deterministic.svg)
![Digits by the stochastic schedulers](images/digits-stochastic.svg)
![Digits by the other schedulers](images/digits-others.svg)

The digits. Schedulers for distilled models run with a model that is not, to 8 evaluations; `vq_diffusion` runs with the
built-in model `tokens`. Empty cells are numbers that a scheduler cannot do, or that were not measured.

![Error against NFE](images/convergence.svg)

Gaussian data, where the deviation of the samples is known exactly, with and without noise: the slope is the order. All
step from sigma/alpha = 5 to 0.05 in equal ratios, but those with a star, which run over levels of their own.

![Noise levels against step](images/grids.svg)

Where 25 steps lie: with default options, and as `timestep_spacing` and `respacing` lay them out. A last step to 0 is
not on the logarithmic axis.

"""
