    """cloud: how much of the sky it covers; tone: its brightness above and at the horizon; dim: the light
    that reaches the ground; veil: how much of the ground is veiled at the horizon and at the bottom edge; hills,
    things: how much of them; fall: how fast it falls, in frames per second, and how much it covers."""

