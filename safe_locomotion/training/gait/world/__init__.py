"""The batched world: thousands of robots under the onboard controllers, as Warp kernels."""
