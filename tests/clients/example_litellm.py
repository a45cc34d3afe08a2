import asyncio

import litellm
from apex_client import BudgetExceeded
from apex_client.litellm_callback import ApexBudgets

budgets = ApexBudgets()  # APEX_URL, APEX_TOKEN
litellm.callbacks = [budgets]


async def main():
    messages = [{"role": "user", "content": "What is the weather like?"}]
    try:
        answer = await litellm.acompletion(model="openai/m", messages=messages, max_tokens=1000)
        print(answer.choices[0].message.content)
    except BudgetExceeded as refused:
        print(f"{refused.left} left of {refused.budget} until {refused.renews_at}")
    await budgets.close()


asyncio.run(main())
