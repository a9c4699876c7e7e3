"""Who thinks for an agent: the protocol, the registry, and the researchers that ship (sweep, llm, cli, scripted).

Never imports the agent.
"""

from swarm.researchers.protocol import Away, Exhausted, Researcher

__all__ = ["Away", "Exhausted", "Researcher"]
