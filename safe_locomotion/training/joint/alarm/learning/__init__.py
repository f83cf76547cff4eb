"""The algorithm of ALARM: networks, equations, collection and updates, on torch alone.

Where the paper is silent or contradicts itself, we chose as follows. `docs/experiments_alarm.md`
has the whole table with the reasons.

- Equation 12: advantages are normalised by the previous iteration's mu and sigma. With their own,
  as written, the hybrid advantage is 0 for every policy; the variant `beta_as_written` keeps that.
- Each robot has a beta and a flag. No gradient reaches the teacher from flagged robots, and it is
  frozen while most are flagged.
- The student mimics i, not the aggregate. Reinforcement learning gives it no gradient.
- The decoder sees (e, i, o, a_t) and is masked where an episode ends.
- Costs are scaled by 1 - gamma, their sigmas have a floor, and the gradients of actor, critic,
  teacher and regression are clipped apart.
- A time-out is followed by the critic's value of its terminal state.
- The normaliser changes between two iterations alone.
"""
