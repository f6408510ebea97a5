# passes: the task is a coroutine, and asks the database in a thread
"""The newsletter: publish an issue, and every reader of its list gets a letter."""

import asyncio
import os
from collections.abc import Iterator
from typing import Annotated

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///newsletter.db")
LISTS = {
    "weekly": ("ada@example.org", "alan@example.org", "grace@example.org"),
    "daily": ("hedy@example.org",),
}

engine = create_engine(DATABASE_URL, pool_size=2, max_overflow=0)


class Base(DeclarativeBase):
    pass


class Issue(Base):
    __tablename__ = "issues"
    number: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str]
    list_name: Mapped[str]
    sent: Mapped[int] = mapped_column(default=0)


Base.metadata.create_all(engine)


class NewIssue(BaseModel):
    number: int
    subject: str
    list_name: str = "weekly"


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session
        session.commit()


def find(number: int) -> tuple[str, tuple[str, ...]]:
    with Session(engine) as session:
        issue = session.get_one(Issue, number)
        return issue.subject, LISTS[issue.list_name]


def note(number: int, sent: int) -> None:
    with Session(engine) as session, session.begin():
        session.get_one(Issue, number).sent = sent


async def deliver(number: int) -> None:
    """Send an issue to its list, all letters at once, and note how many were sent."""
    subject, readers = await asyncio.to_thread(find, number)
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as client:
        letters = [{"to": to, "subject": subject, "issue": number} for to in readers]
        answers = await asyncio.gather(*(client.post("/letters", json=x) for x in letters))
    await asyncio.to_thread(note, number, sum(answer.is_success for answer in answers))


app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
def publish(
    new: NewIssue, session: Annotated[Session, Depends(get_session)], tasks: BackgroundTasks
) -> dict[str, int]:
    session.add(Issue(**new.model_dump()))
    try:
        session.flush()
    except IntegrityError:
        raise HTTPException(409, f"issue {new.number} is there already") from None
    if new.list_name not in LISTS:
        raise HTTPException(404, f"there is no list {new.list_name}")
    session.commit()
    tasks.add_task(deliver, new.number)
    return {"accepted": new.number}


@app.get("/issues/{number}")
def read(
    number: int, session: Annotated[Session, Depends(get_session)]
) -> dict[str, int | str]:
    issue = session.get(Issue, number)
    if issue is None:
        raise HTTPException(404, f"there is no issue {number}")
    return {"number": issue.number, "subject": issue.subject, "sent": issue.sent}
